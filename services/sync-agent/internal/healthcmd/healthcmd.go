// Package healthcmd is the subcommand health: it tells how objects of files are, so that customizations can be tried
// before a cluster has them.
package healthcmd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/health"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

const usage = `sync-agent health [flags] FILE...

Tells how each object of the files is, "-" for those of the standard input: as sync-agent sees it in a cluster. Files
hold YAML or JSON, several objects and lists too. Exit code 0 whatever the health is, 2 when something cannot be read.

`

// maxFile bounds what is read of one file.
const maxFile = 64 << 20

// Streams are where the command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

type flags struct {
	config, output string
	rule, general  bool
}

// verdict is what is told of one object.
type verdict struct {
	File      string `json:"file"`
	Group     string `json:"group"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Status    string `json:"status"` // empty when the kind has no health
	Message   string `json:"message"`
}

// Run runs the command with the arguments behind its name and returns the exit code.
func Run(args []string, s Streams) int {
	var f flags
	set := flag.NewFlagSet("health", flag.ContinueOnError)
	set.SetOutput(s.Err)
	set.Usage = func() {
		fmt.Fprint(s.Err, usage)
		set.PrintDefaults()
	}
	set.StringVar(&f.config, "config", "", "file with customizations: a ConfigMap argocd-cm, or its data alone")
	set.StringVar(&f.output, "o", "text", "text or json")
	set.BoolVar(&f.rule, "rule", false, "judge an object that is being deleted as if it were not")
	set.BoolVar(&f.general, "general", false, "judge as if the kind had no rule of its own")
	if err := set.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if err := run(f, set.Args(), s); err != nil {
		fmt.Fprintln(s.Err, "health:", err)
		return 2
	}
	return 0
}

func run(f flags, files []string, s Streams) error {
	if f.output != "text" && f.output != "json" {
		return fmt.Errorf("-o %q is neither text nor json", f.output)
	}
	if len(files) == 0 {
		return errors.New("no FILE is given; - reads the standard input")
	}
	engine, err := f.engine(s.Err)
	if err != nil {
		return err
	}
	judge := engine.Assess
	if f.rule {
		judge = engine.Judge
	}
	var all []verdict
	for _, file := range files {
		objects, err := read(file, s.In)
		if err != nil {
			return err
		}
		for _, o := range objects {
			key := track.KeyOf(o)
			v := verdict{File: file, Group: key.Group, Kind: key.Kind, Namespace: key.Namespace, Name: key.Name}
			if h := judge(o); h != nil {
				v.Status, v.Message = h.Status, h.Message
			}
			all = append(all, v)
		}
	}
	if f.output == "json" {
		return json.NewEncoder(s.Out).Encode(all)
	}
	return table(s.Out, all)
}

// engine makes the engine that is asked for, and says which customizations cannot be used.
func (f flags) engine(problems io.Writer) (*health.Engine, error) {
	var c health.Customizations
	if f.config != "" {
		text, err := readFile(f.config, nil)
		if err != nil {
			return nil, err
		}
		if c, err = customizations(text); err != nil {
			return nil, fmt.Errorf("--config %s: %w", f.config, err)
		}
	}
	engine, bad := health.New(c, health.Options{Clock: time.Now})
	for _, p := range bad {
		fmt.Fprintln(problems, "health:", p)
	}
	if f.general {
		return engine.General(), nil
	}
	return engine, nil
}

// customizations reads a ConfigMap, or a map of keys to texts.
func customizations(text []byte) (health.Customizations, error) {
	var object struct {
		Kind string
		Data map[string]string
	}
	if err := yaml.Unmarshal(text, &object); err == nil && object.Kind == "ConfigMap" {
		return object.Data, nil
	}
	var data map[string]string
	if err := yaml.Unmarshal(text, &data); err != nil {
		return nil, fmt.Errorf("it is neither a ConfigMap nor a map of texts: %w", err)
	}
	return data, nil
}

func readFile(name string, in io.Reader) ([]byte, error) {
	if name != "-" || in == nil {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s has more than %d bytes", name, maxFile)
	}
	return text, nil
}

func read(name string, in io.Reader) ([]*track.Object, error) {
	text, err := readFile(name, in)
	if err != nil {
		return nil, err
	}
	objects, err := decode(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return objects, nil
}

// decode reads the documents of a text; lists give their items.
func decode(text []byte) ([]*track.Object, error) {
	var out []*track.Object
	reader := yamlutil.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for n := 1; ; n++ {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		var content map[string]any
		if err := yaml.Unmarshal(document, &content); err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		if len(content) == 0 {
			continue
		}
		found, err := objectsOf(document)
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		out = append(out, found...)
	}
}

func objectsOf(document []byte) ([]*track.Object, error) {
	asJSON, err := yaml.YAMLToJSON(document)
	if err != nil {
		return nil, err
	}
	object, _, err := unstructured.UnstructuredJSONScheme.Decode(asJSON, nil, nil)
	if err != nil {
		return nil, err
	}
	switch o := object.(type) {
	case *unstructured.UnstructuredList:
		var out []*track.Object
		for i := range o.Items {
			out = append(out, &o.Items[i])
		}
		return out, nil
	case *unstructured.Unstructured:
		return []*track.Object{o}, nil
	}
	return nil, fmt.Errorf("it is a %T, not an object", object)
}

func table(out io.Writer, all []verdict) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, v := range all {
		status, name := v.Status, v.Name
		if status == "" {
			status = "-"
		}
		if v.Namespace != "" {
			name = v.Namespace + "/" + name
		}
		kind := v.Kind
		if v.Group != "" {
			kind = v.Group + "/" + kind
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", status, kind, name, v.Message)
	}
	return w.Flush()
}
