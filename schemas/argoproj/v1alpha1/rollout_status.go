package v1alpha1

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RolloutStatus is what was last seen of a rollout.
type RolloutStatus struct {
	Phase                      RolloutPhase       `json:"phase,omitempty"`
	Message                    string             `json:"message,omitempty"`
	Abort                      bool               `json:"abort,omitempty"`
	AbortedAt                  *metav1.Time       `json:"abortedAt,omitempty"`
	PromoteFull                bool               `json:"promoteFull,omitempty"`
	PauseConditions            []PauseCondition   `json:"pauseConditions,omitempty"`
	ControllerPause            bool               `json:"controllerPause,omitempty"`
	CurrentPodHash             string             `json:"currentPodHash,omitempty"`
	CurrentStepHash            string             `json:"currentStepHash,omitempty"`
	CurrentStepIndex           *int32             `json:"currentStepIndex,omitempty"`
	StableRS                   string             `json:"stableRS,omitempty"`
	CollisionCount             *int32             `json:"collisionCount,omitempty"`
	ObservedGeneration         string             `json:"observedGeneration,omitempty"`
	WorkloadObservedGeneration string             `json:"workloadObservedGeneration,omitempty"`
	Replicas                   int32              `json:"replicas,omitempty"`
	UpdatedReplicas            int32              `json:"updatedReplicas,omitempty"`
	ReadyReplicas              int32              `json:"readyReplicas,omitempty"`
	AvailableReplicas          int32              `json:"availableReplicas,omitempty"`
	HPAReplicas                int32              `json:"HPAReplicas,omitempty"`
	Selector                   string             `json:"selector,omitempty"`
	RestartedAt                *metav1.Time       `json:"restartedAt,omitempty"`
	Conditions                 []RolloutCondition `json:"conditions,omitempty"`
	Canary                     CanaryStatus       `json:"canary,omitempty"`
	BlueGreen                  BlueGreenStatus    `json:"blueGreen,omitempty"`
	ALB                        *ALBStatus         `json:"alb,omitempty"`
	ALBs                       []ALBStatus        `json:"albs,omitempty"`
	Duration                   *RolloutDuration   `json:"duration,omitempty"`
}

// PauseCondition is one reason why a rollout waits.
type PauseCondition struct {
	Reason    PauseReason `json:"reason"`
	StartTime metav1.Time `json:"startTime"`
}

// RolloutCondition is one aspect of the state of a rollout.
type RolloutCondition struct {
	Type               RolloutConditionType   `json:"type"`
	Status             corev1.ConditionStatus `json:"status"`
	Reason             string                 `json:"reason"`
	Message            string                 `json:"message"`
	LastUpdateTime     *metav1.Time           `json:"lastUpdateTime,omitempty"`
	LastTransitionTime *metav1.Time           `json:"lastTransitionTime,omitempty"`
}

// CanaryStatus is the state that only canaries have.
type CanaryStatus struct {
	Weights                            *TrafficWeights           `json:"weights,omitempty"`
	CurrentStepAnalysisRunStatus       *RolloutAnalysisRunStatus `json:"currentStepAnalysisRunStatus,omitempty"`
	CurrentBackgroundAnalysisRunStatus *RolloutAnalysisRunStatus `json:"currentBackgroundAnalysisRunStatus,omitempty"`
	CurrentExperiment                  string                    `json:"currentExperiment,omitempty"`
	StablePingPong                     string                    `json:"stablePingPong,omitempty"`
	StepPluginStatuses                 []StepPluginStatus        `json:"stepPluginStatuses,omitempty"`
}

// TrafficWeights is the memory of what was set at the routers.
type TrafficWeights struct {
	Canary     WeightDestination   `json:"canary"`
	Stable     WeightDestination   `json:"stable"`
	Additional []WeightDestination `json:"additional,omitempty"`
	Verified   *bool               `json:"verified,omitempty"`
}

// WeightDestination is one receiver of traffic.
type WeightDestination struct {
	Weight          int32  `json:"weight"`
	ServiceName     string `json:"serviceName,omitempty"`
	PodTemplateHash string `json:"podTemplateHash,omitempty"`
}

// RolloutAnalysisRunStatus mirrors an analysis run.
type RolloutAnalysisRunStatus struct {
	Name    string        `json:"name"`
	Status  AnalysisPhase `json:"status"`
	Message string        `json:"message,omitempty"`
}

// StepPluginStatus is the state of a step plugin.
type StepPluginStatus struct {
	Index      int32           `json:"index"`
	Name       string          `json:"name"`
	Operation  string          `json:"operation,omitempty"`
	Phase      string          `json:"phase,omitempty"`
	Message    string          `json:"message,omitempty"`
	StartedAt  *metav1.Time    `json:"startedAt,omitempty"`
	UpdatedAt  *metav1.Time    `json:"updatedAt,omitempty"`
	FinishedAt *metav1.Time    `json:"finishedAt,omitempty"`
	Executions int32           `json:"executions,omitempty"`
	Backoff    string          `json:"backoff,omitempty"`
	Disabled   bool            `json:"disabled,omitempty"`
	Status     json.RawMessage `json:"status,omitempty"`
}

// BlueGreenStatus is the state that only blue-green rollouts have.
type BlueGreenStatus struct {
	PreviewSelector                string                    `json:"previewSelector,omitempty"`
	ActiveSelector                 string                    `json:"activeSelector,omitempty"`
	ScaleUpPreviewCheckPoint       bool                      `json:"scaleUpPreviewCheckPoint,omitempty"`
	PrePromotionAnalysisRunStatus  *RolloutAnalysisRunStatus `json:"prePromotionAnalysisRunStatus,omitempty"`
	PostPromotionAnalysisRunStatus *RolloutAnalysisRunStatus `json:"postPromotionAnalysisRunStatus,omitempty"`
}

// ALBStatus is what is known of an AWS load balancer.
type ALBStatus struct {
	Ingress           string         `json:"ingress,omitempty"`
	LoadBalancer      AwsResourceRef `json:"loadBalancer,omitempty"`
	CanaryTargetGroup AwsResourceRef `json:"canaryTargetGroup,omitempty"`
	StableTargetGroup AwsResourceRef `json:"stableTargetGroup,omitempty"`
}

// AwsResourceRef names an AWS resource.
type AwsResourceRef struct {
	Name     string `json:"name"`
	ARN      string `json:"arn"`
	FullName string `json:"fullName"`
}

// RolloutDuration is how long the last rollout took.
type RolloutDuration struct {
	RolloutStartedAt                *metav1.Time `json:"rolloutStartedAt,omitempty"`
	FinishedAt                      *metav1.Time `json:"finishedAt,omitempty"`
	ManualPauseStartedAt            *metav1.Time `json:"manualPauseStartedAt,omitempty"`
	TotalManualPauseDurationSeconds int64        `json:"totalManualPauseDurationSeconds,omitempty"`
	CompletionStatus                string       `json:"completionStatus,omitempty"`
}
