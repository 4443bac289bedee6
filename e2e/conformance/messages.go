package conformance

import (
	"reflect"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/argoproj/workflowapi"
)

// messages are types of the tables that are part of no kind, by their name there.
func messages() map[string]reflect.Type {
	return map[string]reflect.Type{
		"Event":  reflect.TypeFor[v1alpha1.Event](),
		"Status": reflect.TypeFor[v1alpha1.EventSourceStatus](),

		"ArchivedWorkflowDeletedResponse":       reflect.TypeFor[workflowapi.ArchivedWorkflowDeletedResponse](),
		"ClusterWorkflowTemplateCreateRequest":  reflect.TypeFor[workflowapi.ClusterWorkflowTemplateCreateRequest](),
		"ClusterWorkflowTemplateDeleteResponse": reflect.TypeFor[workflowapi.ClusterWorkflowTemplateDeleteResponse](),
		"ClusterWorkflowTemplateLintRequest":    reflect.TypeFor[workflowapi.ClusterWorkflowTemplateLintRequest](),
		"ClusterWorkflowTemplateUpdateRequest":  reflect.TypeFor[workflowapi.ClusterWorkflowTemplateUpdateRequest](),
		"CollectEventRequest":                   reflect.TypeFor[workflowapi.CollectEventRequest](),
		"CollectEventResponse":                  reflect.TypeFor[workflowapi.CollectEventResponse](),
		"Column":                                reflect.TypeFor[workflowapi.Column](),
		"CreateCronWorkflowRequest":             reflect.TypeFor[workflowapi.CreateCronWorkflowRequest](),
		"CronWorkflowDeletedResponse":           reflect.TypeFor[workflowapi.CronWorkflowDeletedResponse](),
		"CronWorkflowResumeRequest":             reflect.TypeFor[workflowapi.CronWorkflowResumeRequest](),
		"CronWorkflowSuspendRequest":            reflect.TypeFor[workflowapi.CronWorkflowSuspendRequest](),
		"EventResponse":                         reflect.TypeFor[workflowapi.EventResponse](),
		"GetUserInfoResponse":                   reflect.TypeFor[workflowapi.GetUserInfoResponse](),
		"InfoResponse":                          reflect.TypeFor[workflowapi.InfoResponse](),
		"LabelKeys":                             reflect.TypeFor[workflowapi.LabelKeys](),
		"LabelValues":                           reflect.TypeFor[workflowapi.LabelValues](),
		"Link":                                  reflect.TypeFor[workflowapi.Link](),
		"LintCronWorkflowRequest":               reflect.TypeFor[workflowapi.LintCronWorkflowRequest](),
		"LogEntry":                              reflect.TypeFor[workflowapi.LogEntry](),
		"ResubmitArchivedWorkflowRequest":       reflect.TypeFor[workflowapi.ResubmitArchivedWorkflowRequest](),
		"RetryArchivedWorkflowRequest":          reflect.TypeFor[workflowapi.RetryArchivedWorkflowRequest](),
		"SubmitOpts":                            reflect.TypeFor[workflowapi.SubmitOpts](),
		"UpdateCronWorkflowRequest":             reflect.TypeFor[workflowapi.UpdateCronWorkflowRequest](),
		"Version":                               reflect.TypeFor[workflowapi.Version](),
		"WorkflowCreateRequest":                 reflect.TypeFor[workflowapi.WorkflowCreateRequest](),
		"WorkflowDeleteResponse":                reflect.TypeFor[workflowapi.WorkflowDeleteResponse](),
		"WorkflowLintRequest":                   reflect.TypeFor[workflowapi.WorkflowLintRequest](),
		"WorkflowResubmitRequest":               reflect.TypeFor[workflowapi.WorkflowResubmitRequest](),
		"WorkflowResumeRequest":                 reflect.TypeFor[workflowapi.WorkflowResumeRequest](),
		"WorkflowRetryRequest":                  reflect.TypeFor[workflowapi.WorkflowRetryRequest](),
		"WorkflowSetRequest":                    reflect.TypeFor[workflowapi.WorkflowSetRequest](),
		"WorkflowStopRequest":                   reflect.TypeFor[workflowapi.WorkflowStopRequest](),
		"WorkflowSubmitRequest":                 reflect.TypeFor[workflowapi.WorkflowSubmitRequest](),
		"WorkflowSuspendRequest":                reflect.TypeFor[workflowapi.WorkflowSuspendRequest](),
		"WorkflowTemplateCreateRequest":         reflect.TypeFor[workflowapi.WorkflowTemplateCreateRequest](),
		"WorkflowTemplateDeleteResponse":        reflect.TypeFor[workflowapi.WorkflowTemplateDeleteResponse](),
		"WorkflowTemplateLintRequest":           reflect.TypeFor[workflowapi.WorkflowTemplateLintRequest](),
		"WorkflowTemplateUpdateRequest":         reflect.TypeFor[workflowapi.WorkflowTemplateUpdateRequest](),
		"WorkflowTerminateRequest":              reflect.TypeFor[workflowapi.WorkflowTerminateRequest](),
		"WorkflowWatchEvent":                    reflect.TypeFor[workflowapi.WorkflowWatchEvent](),
	}
}
