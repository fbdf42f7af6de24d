{{- define "serving.name" -}}
{{- printf "%s-serving" .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "serving.selector" -}}
app.kubernetes.io/name: entropy-assets-serving
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "serving.labels" -}}
{{ include "serving.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}
