package v1alpha1

import (
	"encoding/json"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// MetricProvider is where a metric comes from; exactly one field is set.
type MetricProvider struct {
	Prometheus *PrometheusMetric          `json:"prometheus,omitempty"`
	Kayenta    *KayentaMetric             `json:"kayenta,omitempty"`
	Web        *WebMetric                 `json:"web,omitempty"`
	Datadog    *DatadogMetric             `json:"datadog,omitempty"`
	Wavefront  *WavefrontMetric           `json:"wavefront,omitempty"`
	NewRelic   *NewRelicMetric            `json:"newRelic,omitempty"`
	Job        *JobMetric                 `json:"job,omitempty"`
	CloudWatch *CloudWatchMetric          `json:"cloudWatch,omitempty"`
	Graphite   *GraphiteMetric            `json:"graphite,omitempty"`
	Influxdb   *InfluxdbMetric            `json:"influxdb,omitempty"`
	Skywalking *SkyWalkingMetric          `json:"skywalking,omitempty"`
	Plugin     map[string]json.RawMessage `json:"plugin,omitempty"`
}

// PrometheusMetric queries Prometheus.
type PrometheusMetric struct {
	Address        string                    `json:"address,omitempty"`
	Query          string                    `json:"query,omitempty"`
	RangeQuery     *PrometheusRangeQueryArgs `json:"rangeQuery,omitempty"`
	Authentication Authentication            `json:"authentication,omitempty"`
	Timeout        *int64                    `json:"timeout,omitempty"`
	Insecure       bool                      `json:"insecure,omitempty"`
	Headers        []WebMetricHeader         `json:"headers,omitempty"`
}

// PrometheusRangeQueryArgs turns a query into a range query.
type PrometheusRangeQueryArgs struct {
	Start string `json:"start,omitempty"`
	End   string `json:"end,omitempty"`
	Step  string `json:"step,omitempty"`
}

// Authentication is how a provider is authenticated to.
type Authentication struct {
	BasicAuth ProviderBasicAuth `json:"basicAuth,omitempty"`
	OAuth2    OAuth2Config      `json:"oauth2,omitempty"`
	SigV4     Sigv4Config       `json:"sigv4,omitempty"`
}

// ProviderBasicAuth is a user name and a password.
type ProviderBasicAuth struct {
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
}

// OAuth2Config is the client credentials flow.
type OAuth2Config struct {
	TokenURL     string   `json:"tokenUrl,omitempty"`
	ClientID     string   `json:"clientId,omitempty"`
	ClientSecret string   `json:"clientSecret,omitempty"`
	Scopes       []string `json:"scopes,omitempty"`
}

// Sigv4Config signs requests for AWS.
type Sigv4Config struct {
	Region  string `json:"region,omitempty"`
	Profile string `json:"profile,omitempty"`
	RoleArn string `json:"roleArn,omitempty"`
}

// WebMetricHeader is one header of a request.
type WebMetricHeader struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// WebMetric asks a web endpoint.
type WebMetric struct {
	Method         string            `json:"method,omitempty"`
	URL            string            `json:"url"`
	Headers        []WebMetricHeader `json:"headers,omitempty"`
	Body           string            `json:"body,omitempty"`
	TimeoutSeconds int64             `json:"timeoutSeconds,omitempty"`
	JSONPath       string            `json:"jsonPath,omitempty"`
	Insecure       bool              `json:"insecure,omitempty"`
	JSONBody       json.RawMessage   `json:"jsonBody,omitempty"`
	Authentication Authentication    `json:"authentication,omitempty"`
}

// KayentaMetric asks a Kayenta judge.
type KayentaMetric struct {
	Address                  string           `json:"address"`
	Application              string           `json:"application"`
	CanaryConfigName         string           `json:"canaryConfigName"`
	MetricsAccountName       string           `json:"metricsAccountName"`
	ConfigurationAccountName string           `json:"configurationAccountName"`
	StorageAccountName       string           `json:"storageAccountName"`
	Threshold                KayentaThreshold `json:"threshold"`
	Scopes                   []KayentaScope   `json:"scopes"`
	Lookback                 bool             `json:"lookback,omitempty"`
}

// KayentaThreshold is the score to reach.
type KayentaThreshold struct {
	Pass     int64 `json:"pass"`
	Marginal int64 `json:"marginal"`
}

// KayentaScope is a pair of scopes to compare.
type KayentaScope struct {
	Name            string      `json:"name"`
	ControlScope    ScopeDetail `json:"controlScope"`
	ExperimentScope ScopeDetail `json:"experimentScope"`
}

// ScopeDetail is one scope.
type ScopeDetail struct {
	Scope  string `json:"scope"`
	Region string `json:"region"`
	Step   int64  `json:"step"`
	Start  string `json:"start"`
	End    string `json:"end"`
}

// DatadogMetric queries Datadog.
type DatadogMetric struct {
	ApiVersion     string            `json:"apiVersion,omitempty"`
	Interval       DurationString    `json:"interval,omitempty"`
	Query          string            `json:"query,omitempty"`
	Queries        map[string]string `json:"queries,omitempty"`
	Formula        string            `json:"formula,omitempty"`
	Aggregator     string            `json:"aggregator,omitempty"`
	SecretRef      SecretRef         `json:"secretRef,omitempty"`
	RequestTimeout DurationString    `json:"requestTimeout,omitempty"`
}

// SecretRef names a secret.
type SecretRef struct {
	Name       string `json:"name,omitempty"`
	Namespaced bool   `json:"namespaced,omitempty"`
}

// WavefrontMetric queries Wavefront.
type WavefrontMetric struct {
	Address string `json:"address,omitempty"`
	Query   string `json:"query,omitempty"`
}

// NewRelicMetric queries New Relic.
type NewRelicMetric struct {
	Profile string `json:"profile,omitempty"`
	Query   string `json:"query"`
	Timeout *int64 `json:"timeout,omitempty"`
}

// JobMetric runs a job; its success is the measurement.
type JobMetric struct {
	Metadata metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec     batchv1.JobSpec   `json:"spec"`
}

// CloudWatchMetric queries CloudWatch.
type CloudWatchMetric struct {
	Interval          DurationString              `json:"interval,omitempty"`
	MetricDataQueries []CloudWatchMetricDataQuery `json:"metricDataQueries"`
}

// CloudWatchMetricDataQuery is one query of CloudWatch.
type CloudWatchMetricDataQuery struct {
	ID         string                `json:"id,omitempty"`
	Expression *string               `json:"expression,omitempty"`
	Label      *string               `json:"label,omitempty"`
	MetricStat *CloudWatchMetricStat `json:"metricStat,omitempty"`
	Period     *intstr.IntOrString   `json:"period,omitempty"`
	ReturnData *bool                 `json:"returnData,omitempty"`
}

// CloudWatchMetricStat is a statistic of a metric.
type CloudWatchMetricStat struct {
	Metric CloudWatchMetricStatMetric `json:"metric,omitempty"`
	Period intstr.IntOrString         `json:"period,omitempty"`
	Stat   string                     `json:"stat,omitempty"`
	Unit   string                     `json:"unit,omitempty"`
}

// CloudWatchMetricStatMetric names a metric.
type CloudWatchMetricStatMetric struct {
	Namespace  string                                `json:"namespace,omitempty"`
	MetricName string                                `json:"metricName,omitempty"`
	Dimensions []CloudWatchMetricStatMetricDimension `json:"dimensions,omitempty"`
}

// CloudWatchMetricStatMetricDimension is one dimension of a metric.
type CloudWatchMetricStatMetricDimension struct {
	Name  string `json:"name,omitempty"`
	Value string `json:"value,omitempty"`
}

// GraphiteMetric queries Graphite.
type GraphiteMetric struct {
	Address string `json:"address,omitempty"`
	Query   string `json:"query,omitempty"`
}

// InfluxdbMetric queries InfluxDB.
type InfluxdbMetric struct {
	Profile string `json:"profile,omitempty"`
	Query   string `json:"query,omitempty"`
}

// SkyWalkingMetric queries SkyWalking.
type SkyWalkingMetric struct {
	Address  string         `json:"address,omitempty"`
	Query    string         `json:"query,omitempty"`
	Interval DurationString `json:"interval,omitempty"`
}
