package command

import (
	"context"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
)

// flags are what the arguments of an operation may set, by their names on the argo command line.
type flags map[string]func(value string)

// read takes the arguments of a command. A flag that is no switch has its value behind = or in the next argument.
func (f flags) read(args []string) error {
	for i := 0; i < len(args); i++ {
		flag, value, inline := strings.Cut(args[i], "=")
		set, known := f[flag]
		if !known {
			return fault.Poisonf("args: %q is not taken by this operation", flag)
		}
		if !inline && flag != restartSuccessful {
			if i++; i == len(args) {
				return fault.Poisonf("args: %q has no value", flag)
			}
			value = args[i]
		}
		set(value)
	}
	return nil
}

const restartSuccessful = "--restart-successful"

// pairs collects name=value.
func pairs(into map[string]string) func(string) {
	return func(value string) {
		name, text, _ := strings.Cut(value, "=")
		into[name] = text
	}
}

// resume lets a suspended workflow go on, and the suspended nodes that its flags select.
func (o *Operator) resume(ctx context.Context, c asked) error {
	ask := object.UserOperation{Operation: "resume", Outputs: map[string]string{}, By: c.Sensor}
	output := pairs(ask.Outputs)
	err := flags{"--node-field-selector": func(v string) { ask.Selector = v }, "--output-parameter": output,
		"-p": output}.read(c.Args)
	if err != nil {
		return err
	}
	return o.ask(ctx, c, ask, nil, map[string]any{"suspend": nil})
}

// set gives suspended nodes outputs, a message or an end.
func (o *Operator) set(ctx context.Context, c asked) error {
	ask := object.UserOperation{Operation: "set", Outputs: map[string]string{}, By: c.Sensor}
	output := pairs(ask.Outputs)
	err := flags{
		"--node-field-selector": func(v string) { ask.Selector = v }, "--output-parameter": output, "-p": output,
		"--phase": func(v string) { ask.Phase = v }, "--message": func(v string) { ask.Message = v },
		"-m": func(v string) { ask.Message = v },
	}.read(c.Args)
	if err != nil {
		return err
	}
	return o.ask(ctx, c, ask, nil, nil)
}

// retry does a run that ended again from what failed. Source: Argo Workflows, which takes back the orders to stop and
// to wait as well.
func (o *Operator) retry(ctx context.Context, c asked) error {
	ask := object.UserOperation{Operation: "retry", Parameters: map[string]string{}, By: c.Sensor}
	parameter := pairs(ask.Parameters)
	err := flags{
		"--node-field-selector": func(v string) { ask.Selector = v }, "--parameter": parameter, "-p": parameter,
		restartSuccessful: func(v string) { ask.Successful = v != "false" },
	}.read(c.Args)
	if err != nil {
		return err
	}
	return o.ask(ctx, c, ask, map[string]any{object.LabelCompleted: nil},
		map[string]any{"suspend": nil, "shutdown": nil})
}

// ask puts an order on a workflow.
func (o *Operator) ask(ctx context.Context, c asked, ask object.UserOperation, labels, spec map[string]any) error {
	meta := map[string]any{"annotations": map[string]any{object.OrderPrefix + c.Key: string(object.JSON(ask))}}
	if labels != nil {
		meta["labels"] = labels
	}
	change := map[string]any{"metadata": meta}
	if spec != nil {
		change["spec"] = spec
	}
	return c.by.patch(ctx, c.Namespace, c.Name, change)
}
