{{- define "penstock.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- end }}

{{/* The labels that select a plane's pods: call with (list . "proxy"), or (list . "") for what both planes share. */}}
{{- define "penstock.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "penstock.labels" -}}
{{- $root := index . 0 -}}
{{ include "penstock.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
{{- end }}

{{/* An image reference: call with (list . .Values.proxy.image). */}}
{{- define "penstock.image" -}}
{{- $image := index . 1 -}}
{{ $image.repository }}:{{ $image.tag | default (index . 0).Chart.AppVersion }}
{{- end }}

{{/* The restricted Pod Security Standard. */}}
{{- define "penstock.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "penstock.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Where the scheduler may put a pod: call with the plane's values. */}}
{{- define "penstock.placement" -}}
{{- range $key := list "nodeSelector" "tolerations" "affinity" }}
{{- with index $ $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* A probe of the data port: call with a context and a path. The kubelet has no certificate to show. */}}
{{- define "penstock.probe" -}}
{{- $tls := (index . 0).Values.proxy.tls -}}
{{- if and $tls.secretName $tls.verifyClients -}}
tcpSocket: {port: data}
{{- else -}}
httpGet: {path: {{ index . 1 }}, port: data{{ if $tls.secretName }}, scheme: HTTPS{{ end }}}
{{- end -}}
{{- end }}
