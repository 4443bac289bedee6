package render

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	sigsyaml "sigs.k8s.io/yaml"
)

// What charts and kustomizations of others render to here is, byte by byte, what the programs make of them. `make
// render-parity` says where the programs are; the charts come from Go modules.
func TestParity(t *testing.T) {
	tools := os.Getenv("RENDER_PARITY_TOOLS")
	if tools == "" {
		t.Skip("make render-parity runs it: it builds helm and kustomize")
	}
	text, err := os.ReadFile("testdata/parity.txt")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || strings.HasPrefix(line, "#") {
			continue
		}
		what, module, dir := fields[0], fields[1], fields[2]
		t.Run(what+" "+module+" "+dir, func(t *testing.T) {
			root := moduleDir(t, module)
			in := input(t, fromDisk(t, root), v1alpha1.ApplicationSource{Path: dir})
			in.App.Name = "parity"
			cmd := exec.Command(filepath.Join(tools, "kustomize"), "build", filepath.Join(root, dir))
			if what == "chart" {
				in.Source.Helm = &v1alpha1.ApplicationSourceHelm{}
				args := []string{"template", "parity", filepath.Join(root, dir), "--namespace=prod", "--include-crds"}
				for _, set := range fields[3:] {
					if set == "skip-tests" {
						in.Source.Helm.SkipTests = true
						args = append(args, "--skip-tests")
						continue
					}
					name, value, _ := strings.Cut(set, "=")
					in.Source.Helm.Parameters = append(
						in.Source.Helm.Parameters, v1alpha1.HelmParameter{Name: name, Value: v1alpha1.AnyString(value)},
					)
					args = append(args, "--set="+set)
				}
				cmd = exec.Command(filepath.Join(tools, "helm"), args...)
			}
			var problem bytes.Buffer
			cmd.Stderr = &problem
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, &problem)
			}
			objects, err := decode(out)
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.Render(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			want, have := canonical(t, objects), canonical(t, got.Objects)
			if want != have {
				t.Errorf("%s", cmp.Diff(want, have))
			}
			t.Logf("%d objects, %d bytes are the same", len(objects), len(want))
		})
	}
}

func canonical(t *testing.T, objects []*unstructured.Unstructured) string {
	t.Helper()
	var out strings.Builder
	for _, o := range objects {
		text, err := sigsyaml.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("---\n" + string(text))
	}
	return out.String()
}

// moduleDir is where the files of a module are.
func moduleDir(t *testing.T, module string) string {
	t.Helper()
	cmd := exec.Command("go", "mod", "download", "-json", module)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	out, err := cmd.Output()
	var found struct{ Dir string }
	if err == nil {
		err = json.Unmarshal(out, &found)
	}
	if err != nil {
		t.Fatalf("%s: %v: %s", module, err, out)
	}
	return found.Dir
}

// fromDisk is a folder as a repository.
func fromDisk(t *testing.T, root string) *Memory {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(rel)], err = os.ReadFile(name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return NewMemory(files)
}
