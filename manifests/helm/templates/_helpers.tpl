{{- define "kuberhealer.labels" -}}
app.kubernetes.io/name: remediator
app.kubernetes.io/part-of: kuberhealer
{{- end }}

{{- define "kuberhealer.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}
