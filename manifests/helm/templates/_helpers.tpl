{{- define "kuberhealer.labels" -}}
app.kubernetes.io/name: remediator
app.kubernetes.io/part-of: kuberhealer
{{- end }}

{{- define "kuberhealer.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* Gives the remediator a ClusterRole, in a namespace or, if that is empty, in all of them. */ -}}
{{- define "kuberhealer.binding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ if .namespace }}RoleBinding{{ else }}ClusterRoleBinding{{ end }}
metadata:
  name: {{ .role }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "kuberhealer.labels" .root | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ .role }}}
subjects:
  - {kind: ServiceAccount, name: remediator, namespace: {{ .root.Release.Namespace }}}
{{- end }}

{{- /* Options of the remediator, by their variables without KUBERHEALER_. */ -}}
{{- define "kuberhealer.options" -}}
NAMESPACES CHECK_NAMESPACES PAUSE MAX_IN_FLIGHT MAX_PER_HOUR STORM_PERCENT STORM_MINIMUM STORM_COOLDOWN_SECONDS LEASE_NAMESPACE LEASE_NAME LEASE_SECONDS IDENTITY LISTEN LOG_FORMAT LOG_LEVEL SHUTDOWN_SECONDS WEBHOOK_LISTEN WEBHOOK_TOKEN_FILE WEBHOOK_BASIC_FILE NOTIFY_CONFIG
{{- end }}
