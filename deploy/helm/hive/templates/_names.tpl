{{- define "hive.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "hive.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "hive.labels" -}}
{{ include "hive.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "hive.file" -}}
{{- if .Values.hiveToml }}/etc/hive/config/hive.toml{{ else }}/etc/hive/hive.toml{{ end -}}
{{- end -}}

{{/* What the check and the host have in common: the same file, the same secrets, the same cache. */}}
{{- define "hive.container" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  - { name: HIVE_LOG_FORMAT, value: json }
  - { name: HIVE_DRAIN, value: {{ printf "%ds" (int .Values.drainSeconds) }} }
  - { name: HIVE_CACHE_DIR, value: /var/cache/hive }
  - { name: STATE_DIRECTORY, value: /var/lib/hive }
  {{- if .Values.secret }}
  - { name: BROKER_URL, value: "file:/run/secrets/hive/broker-url" }
  {{- end }}
  {{- with .Values.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
volumeMounts:
  - { name: state, mountPath: /var/lib/hive }
  - { name: cache, mountPath: /var/cache/hive }
  - { name: tmp, mountPath: /tmp }
  {{- if .Values.hiveToml }}
  - { name: config, mountPath: /etc/hive/config, readOnly: true }
  {{- end }}
  {{- if .Values.secret }}
  - { name: secret, mountPath: /run/secrets/hive, readOnly: true }
  {{- end }}
{{- end -}}
