// Package depends says in which order the tasks of a dag may run, and whether one may that others come before.
package depends

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/expression"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/expr-lang/expr"
)

// Order says which tasks of a dag wait for which.
type Order struct {
	Tasks map[string]v1alpha1.DAGTask
	Waits map[string][]string // the ancestors of each task
	Names []string            // as they stand in the manifest
}

// New reads which tasks wait for which.
func New(tasks []v1alpha1.DAGTask) Order {
	o := Order{Tasks: map[string]v1alpha1.DAGTask{}, Waits: map[string][]string{}}
	for _, task := range tasks {
		o.Tasks[task.Name], o.Waits[task.Name] = task, On(task)
		o.Names = append(o.Names, task.Name)
	}
	return o
}

// taskName finds the names in a depends expression; a name may be followed by the
// result that is asked for.
var taskName = regexp.MustCompile(`[A-Za-z0-9_][-A-Za-z0-9_]*(\.[A-Za-z]+)?`)

// On returns the names of the tasks that a task waits for.
func On(task v1alpha1.DAGTask) []string {
	if task.Depends == "" {
		return task.Dependencies
	}
	var names []string
	for _, m := range taskName.FindAllString(task.Depends, -1) {
		name, _, _ := strings.Cut(m, ".")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// CheckOrder says whether tasks wait for one that does not exist, or for themselves.
func CheckOrder(tasks []v1alpha1.DAGTask) error {
	o := New(tasks)
	_, err := o.Sorted(o.Names)
	return err
}

// Sorted puts tasks and all that they wait for in an order where each comes after what it waits for.
func (o Order) Sorted(tasks []string) ([]string, error) {
	var order []string
	state := map[string]int{} // 1: on the way, 2: done
	var visit func(name, from string) error
	visit = func(name, from string) error {
		_, ok := o.Tasks[name]
		switch {
		case !ok:
			return fmt.Errorf("task %q depends on %q, which does not exist", from, name)
		case state[name] == 1:
			return fmt.Errorf("task %q depends on itself through %q", name, from)
		case state[name] == 2:
			return nil
		}
		state[name] = 1
		for _, a := range o.Waits[name] {
			if err := visit(a, name); err != nil {
				return err
			}
		}
		state[name] = 2
		order = append(order, name)
		return nil
	}
	for _, name := range tasks {
		if err := visit(name, ""); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// Check returns an error that names the first of some tasks that does not exist.
func (o Order) Check(names []string) error {
	for _, name := range names {
		if _, ok := o.Tasks[name]; !ok {
			return fmt.Errorf("target: no task is named %q", name)
		}
	}
	return nil
}

// Leaves are the tasks that none waits for.
func (o Order) Leaves() []string {
	inner := map[string]bool{}
	for _, name := range o.Names {
		for _, a := range o.Waits[name] {
			inner[a] = true
		}
	}
	var leaves []string
	for _, name := range o.Names {
		if !inner[name] {
			leaves = append(leaves, name)
		}
	}
	return leaves
}

// taskResults are what depends may ask of a task. Source: Argo Workflows, enhanced depends logic.
var taskResults = []string{"Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned", "AnySucceeded",
	"AllFailed"}

// Check says what is wrong with a depends expression, such as a result that no task has.
func Check(task v1alpha1.DAGTask) error {
	for _, m := range taskName.FindAllString(task.Depends, -1) {
		if _, result, asks := strings.Cut(m, "."); asks && !slices.Contains(taskResults, result) {
			return fmt.Errorf("depends %q: %q is none of %v", task.Depends, result, taskResults)
		}
	}
	none := map[string]bool{}
	for _, result := range taskResults {
		none[result] = false
	}
	if _, err := Ready(task, func(string) map[string]bool { return none }); err != nil {
		what, _, _ := strings.Cut(err.Error(), "\n") // the rest draws an arrow below the source
		return errors.New(what)
	}
	return nil
}

// Ready says whether a task may run, whose ancestors are finished: their results by what depends may ask.
func Ready(task v1alpha1.DAGTask, results func(task string) map[string]bool) (bool, error) {
	source := Condition(task)
	if source == "" {
		return true, nil
	}
	if len(source) > expression.MaxSource {
		return false, fmt.Errorf("task %q: depends is longer than %d bytes", task.Name, expression.MaxSource)
	}
	env := map[string]any{}
	for _, name := range On(task) {
		env[identifier(name)] = results(name)
	}
	source = taskName.ReplaceAllStringFunc(source, func(m string) string {
		name, result, asks := strings.Cut(m, ".")
		id := identifier(name)
		if asks {
			return id + "." + result
		}
		return fmt.Sprintf("(%s.Succeeded || %s.Skipped || %s.Daemoned)", id, id, id)
	})
	program, err := expr.Compile(source, expr.Env(env), expr.AsBool(), expr.MaxNodes(10_000))
	if err != nil {
		return false, fmt.Errorf("task %q: depends %q: %w", task.Name, task.Depends, err)
	}
	result, err := expr.Run(program, env)
	if err != nil {
		return false, fmt.Errorf("task %q: depends %q: %w", task.Name, task.Depends, err)
	}
	return result.(bool), nil
}

// Condition is depends, or what dependencies mean in its terms.
func Condition(task v1alpha1.DAGTask) string {
	if task.Depends != "" {
		return task.Depends
	}
	return strings.Join(task.Dependencies, " && ")
}

// identifier makes a task's name fit for an expression; the letter keeps a
// leading digit out.
func identifier(name string) string { return "t_" + strings.ReplaceAll(name, "-", "_") }
