package cli

import (
	"github.com/argosy-mesh/argosy/libs/eventsource/lint"
	"github.com/spf13/cobra"
)

func (a *app) eventSource() *cobra.Command {
	c := &cobra.Command{Use: "eventsource", Short: "What is wrong with EventSources"}
	c.AddCommand(a.eventSourceLint())
	return c
}

func (a *app) eventSourceLint() *cobra.Command {
	return &cobra.Command{
		Use:   "lint FILE|DIR...",
		Short: "Say what is wrong with manifests of EventSources",
		Args:  args(1, -1),
		RunE: func(_ *cobra.Command, names []string) error {
			files, err := filesIn(names, ".yaml", ".yml", ".json")
			if err != nil {
				return err
			}
			return a.lintFiles(files, []string{"EventSource"}, lint.EventSource)
		},
	}
}
