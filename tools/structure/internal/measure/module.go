// Package measure reads the sources of a module and compares them with the
// rules of the repository. It looks at syntax only, so that it needs no build and no network.
package measure

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Prefix is the module path of the repository.
const Prefix = "github.com/argosy-mesh/argosy/"

// Module is what was measured of one module.
type Module struct {
	Dir   string
	Path  string // below Prefix, such as services/sensor
	Files []File
}

// File is one source file.
type File struct {
	Name      string // from where the tool was started
	Package   string // import path below Prefix
	Test      bool
	Imports   []string
	Functions []Function
	Wide      []int    // lines that are wider than a screen
	Documents bool     // it holds the comment of its package
	Bare      []string // exported names without a comment, with their lines
	Sleeps    []int    // lines that call time.Sleep
	Clocks    []int    // lines that ask what time it is, or wait
	HTTP      []string // uses of net/http other than its words, with their lines
}

// Function is one declared function or method.
type Function struct {
	Name  string
	At    int // line
	Lines int
	Body  string // what it does, whatever its parameters and variables are called
}

// Read measures the module at dir.
func Read(dir string) (Module, error) {
	m := Module{Dir: dir}
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return m, fmt.Errorf("read the module: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	m.Path = strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(first), "module "), Prefix)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return m.visit(path, d)
	})
	if err != nil {
		return m, fmt.Errorf("read module %s: %w", dir, err)
	}
	return m, nil
}

func (m *Module) visit(path string, d fs.DirEntry) error {
	if d.IsDir() {
		return nil
	}
	below, err := filepath.Rel(m.Dir, path)
	if err != nil {
		return err
	}
	slashed := "/" + filepath.ToSlash(below)
	switch {
	case strings.Contains(slashed, "/testdata/"):
		return nil
	case strings.HasSuffix(path, ".go") && !strings.HasPrefix(filepath.Base(path), "zz_generated"):
		f, err := parse(path)
		f.Package = strings.TrimSuffix(m.Path+"/"+filepath.ToSlash(filepath.Dir(below)), "/.")
		m.Files = append(m.Files, f)
		return err
	}
	return nil
}

func parse(path string) (File, error) {
	f := File{Name: path, Test: strings.HasSuffix(path, "_test.go")}
	text, err := os.ReadFile(path)
	if err != nil {
		return f, err
	}
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return f, err
	}
	f.Documents = tree.Doc != nil
	f.Wide = wide(text)
	for _, i := range tree.Imports {
		name, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return f, err
		}
		f.Imports = append(f.Imports, name)
	}
	line := func(n ast.Node) int { return set.Position(n.Pos()).Line }
	for _, d := range tree.Decls {
		f.declaration(d, line, func(n ast.Node) int { return set.Position(n.End()).Line })
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && isHTTP(s) {
			f.HTTP = append(f.HTTP, fmt.Sprintf("%d: http.%s", line(s), s.Sel.Name))
		}
		call, ok := n.(*ast.CallExpr)
		switch of := ofTime(call, ok); {
		case of == "Sleep":
			f.Sleeps, f.Clocks = append(f.Sleeps, line(call)), append(f.Clocks, line(call))
		case slices.Contains(clocks, of):
			f.Clocks = append(f.Clocks, line(call))
		}
		return true
	})
	return f, nil
}

// isHTTP reports whether net/http is used for more than its words: headers, methods, and what codes mean.
func isHTTP(s *ast.SelectorExpr) bool {
	x, ok := s.X.(*ast.Ident)
	name := s.Sel.Name
	return ok && x.Name == "http" && name != "Header" && name != "CanonicalHeaderKey" &&
		!strings.HasPrefix(name, "Status") &&
		!strings.HasPrefix(name, "Method")
}

// clocks are the functions of package time that depend on when they are called.
var clocks = []string{"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}

// ofTime names the function of package time that is called.
func ofTime(call *ast.CallExpr, ok bool) string {
	if !ok {
		return ""
	}
	s, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if x, ok := s.X.(*ast.Ident); !ok || x.Name != "time" {
		return ""
	}
	return s.Sel.Name
}

func (f *File) declaration(d ast.Decl, line, end func(ast.Node) int) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Body != nil {
			f.Functions = append(
				f.Functions, Function{Name: d.Name.Name, At: line(d), Lines: end(d) - line(d) + 1, Body: shape(d)},
			)
		}
		if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d.Recv) {
			f.bare(d.Name, line(d))
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			f.spec(s, d.Doc != nil, line)
		}
	}
}

// exportedReceiver reports whether a method belongs to a type that others see.
func exportedReceiver(list *ast.FieldList) bool {
	if list == nil || len(list.List) == 0 {
		return true
	}
	expr := list.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.IsExported()
		default:
			return false
		}
	}
}

// spec looks at one type, constant or variable. The comment of a group is the
// comment of its members.
func (f *File) spec(s ast.Spec, group bool, line func(ast.Node) int) {
	switch s := s.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() && !group && s.Doc == nil && s.Comment == nil {
			f.bare(s.Name, line(s))
		}
	case *ast.ValueSpec:
		for _, n := range s.Names {
			if n.IsExported() && !group && s.Doc == nil && s.Comment == nil {
				f.bare(n, line(s))
			}
		}
	}
}

func (f *File) bare(n *ast.Ident, line int) {
	f.Bare = append(f.Bare, strconv.Itoa(line)+": "+n.Name)
}
