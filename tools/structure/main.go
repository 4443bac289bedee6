// Command structure holds modules to the budgets of this repository: sizes,
// documentation, how much core is tested, and which way imports may point.
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
	for _, dir := range dirs {
		module, err := measure.Read(dir)
		if err != nil {
			fmt.Fprintln(out, "structure:", err)
			return 2
		}
		for _, offence := range module.Offences() {
			fmt.Fprintln(out, offence)
			code = 1
		}
	}
	return code
}
