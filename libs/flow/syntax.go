package flow

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// ParseDuration reads seconds, or a duration as Go writes it. Source: Argo Workflows takes both everywhere.
func ParseDuration(s string) (time.Duration, error) { return parseDuration(s) }

// ParseCount reads a whole number that may stand in quotes.
func ParseCount(s string) (int, error) { return strconv.Atoi(strings.TrimSpace(s)) }

// DependsOn returns the names of the tasks that a task waits for.
func DependsOn(task v1alpha1.DAGTask) []string { return ancestors(task) }

// CheckOrder says whether tasks wait for one that does not exist, or for themselves.
func CheckOrder(tasks []v1alpha1.DAGTask) error {
	g := &graph{tasks: map[string]v1alpha1.DAGTask{}, waits: map[string][]string{}}
	for _, task := range tasks {
		g.tasks[task.Name], g.waits[task.Name] = task, ancestors(task)
	}
	_, err := g.sorted(namesOf(tasks))
	return err
}

// taskResults are what depends may ask of a task. Source: Argo Workflows, enhanced depends logic.
var taskResults = []string{"Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned", "AnySucceeded", "AllFailed"}

// CheckDepends says what is wrong with a depends expression, such as a result that no task has.
func CheckDepends(task v1alpha1.DAGTask) error {
	g := &graph{outcomes: map[string]outcome{}, tasks: map[string]v1alpha1.DAGTask{}, waits: map[string][]string{task.Name: ancestors(task)}}
	for _, m := range taskName.FindAllString(task.Depends, -1) {
		if _, result, asks := strings.Cut(m, "."); asks && !slices.Contains(taskResults, result) {
			return fmt.Errorf("depends %q: %q is none of %v", task.Depends, result, taskResults)
		}
	}
	for _, name := range g.waits[task.Name] {
		g.outcomes[name] = outcome{done: true}
	}
	if _, err := g.ready(task); err != nil {
		what, _, _ := strings.Cut(err.Error(), "\n") // the rest draws an arrow below the source
		return errors.New(what)
	}
	return nil
}
