// Command structure holds modules to the rules of this repository: which way imports may point, purity of the cores,
// documentation, and that no function stands twice.
//
//	structure MODULE-DIR...
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/argosy-mesh/argosy/tools/structure/internal/measure"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout)) }

func run(dirs []string, out io.Writer) int {
	code := 0
	var modules []measure.Module
	for _, dir := range dirs {
		module, err := measure.Read(dir)
		if err != nil {
			fmt.Fprintln(out, "structure:", err)
			return 2
		}
		modules = append(modules, module)
		for _, offence := range module.Offences() {
			fmt.Fprintln(out, offence)
			code = 1
		}
	}
	for _, offence := range measure.Twice(modules) {
		fmt.Fprintln(out, offence)
		code = 1
	}
	return code
}
