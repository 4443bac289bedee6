{{/* The image of a program of ours: dict "root" $ "name" NAME. */}}
{{- define "argosy.image" -}}
{{- $digest := "" -}}
{{- with index .root.Values.services .name }}{{ $digest = .digest }}{{ end -}}
{{- if $digest -}}
{{ .root.Values.image.registry }}/{{ .name }}@{{ $digest }}
{{- else -}}
{{ .root.Values.image.registry }}/{{ .name }}:{{ .root.Values.image.tag }}
{{- end -}}
{{- end }}

{{- define "argosy.natsUrl" -}}
{{ .Values.nats.url | default (printf "nats://nats.%s.svc:4222" .Release.Namespace) }}
{{- end }}

{{/* Labels of an object: dict "root" $ "name" NAME. The first is the one that selectors use. */}}
{{- define "argosy.labels" -}}
app: {{ .name }}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/part-of: argosy
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/*
What all services have alike: an account with its rights, a Service, a Deployment.
dict "root" $ "name" NAME, and where there is more than that: "ports" "env" "mounts" "volumes", each a YAML text.
*/}}
{{- define "argosy.service" -}}
{{- $v := index .root.Values.services .name -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "argosy.labels" . | nindent 4 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: argosy-{{ .name }}
  labels: {{- include "argosy.labels" . | nindent 4 }}
rules: {{- .root.Files.Get (printf "rbac/%s.yaml" .name) | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: argosy-{{ .name }}
  labels: {{- include "argosy.labels" . | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: argosy-{{ .name }}}
subjects:
  - {kind: ServiceAccount, name: {{ .name }}, namespace: {{ .root.Release.Namespace }}}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "argosy.labels" . | nindent 4 }}
spec:
  selector: {app: {{ .name }}}
  ports:
    - {name: http, port: 8080}
    {{- with .ports }}{{ . | nindent 4 }}{{ end }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "argosy.labels" . | nindent 4 }}
spec:
  replicas: {{ $v.replicas }}
  selector:
    matchLabels: {app: {{ .name }}}
  template:
    metadata:
      labels:
        app: {{ .name }}
        app.kubernetes.io/name: {{ .name }}
        app.kubernetes.io/part-of: argosy
      annotations:
        prometheus.io/scrape: "true"
        prometheus.io/port: "8080"
        {{- with $v.podAnnotations }}{{ toYaml . | nindent 8 }}{{ end }}
    spec:
      serviceAccountName: {{ .name }}
      # A service drains for up to 20 s; the rest is for the kubelet.
      terminationGracePeriodSeconds: 30
      {{- with .root.Values.image.pullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        runAsGroup: 65532
        fsGroup: 65532
        seccompProfile: {type: RuntimeDefault}
      containers:
        - name: {{ .name }}
          image: {{ include "argosy.image" . }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          env:
            - {name: ARGOSY_NATS_URL, value: {{ include "argosy.natsUrl" .root | quote }}}
            - {name: ARGOSY_NATS_USER, value: {{ .name }}}
            - {name: ARGOSY_NATS_PASSWORD_FILE, value: /etc/argosy/nats/password}
            - name: ARGOSY_INSTANCE
              valueFrom: {fieldRef: {fieldPath: metadata.name}}
            - name: POD_NAMESPACE
              valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
            {{- with .env }}{{ . | nindent 12 }}{{ end }}
            {{- range $name, $value := $v.env }}
            - {name: {{ $name }}, value: {{ $value | toString | quote }}}
            {{- end }}
          ports:
            - {name: http, containerPort: 8080}
            {{- with .containerPorts }}{{ . | nindent 12 }}{{ end }}
          readinessProbe:
            httpGet: {path: /readyz, port: http}
            periodSeconds: 2
          livenessProbe:
            httpGet: {path: /healthz, port: http}
            periodSeconds: 10
            failureThreshold: 6
          resources: {{- toYaml $v.resources | nindent 12 }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
          volumeMounts:
            - {name: nats, mountPath: /etc/argosy/nats, readOnly: true}
            {{- with .mounts }}{{ . | nindent 12 }}{{ end }}
      volumes:
        - name: nats
          secret:
            secretName: nats-{{ .name }}
            items: [{key: password, path: password}]
        {{- with .volumes }}{{ . | nindent 8 }}{{ end }}
{{- end }}

{{/* The users of the bus; each has a Secret nats-NAME with its password. */}}
{{- define "argosy.busUsers" -}}
webhook-ingest sensor workflow-runner sync-agent rollout-analyzer reader
{{- end }}

{{/* Of what the Job that makes Secrets needs. */}}
{{- define "argosy.hook" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
