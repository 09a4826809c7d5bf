{{- define "llmload.name" -}}
{{- printf "%s-%s" (.root.Release.Name | trunc 50 | trimSuffix "-") .part -}}
{{- end -}}

{{- define "llmload.selector" -}}
app.kubernetes.io/name: llmload
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{- define "llmload.labels" -}}
{{ include "llmload.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "llmload.image" -}}
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end -}}

{{- define "llmload.pod" -}}
automountServiceAccountToken: false
# Variables named after Services could begin with LLMLOAD_, as settings do.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- with .place.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .place.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "llmload.container" -}}
resources:
  requests: {{- toYaml . | nindent 4 }}
  limits: {{- toYaml . | nindent 4 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{- define "llmload.key" -}}
{{- with .Values.apiKeySecret }}
- name: API_KEY
  valueFrom:
    secretKeyRef: {name: {{ . }}, key: API_KEY}
{{- end }}
{{- end -}}

{{- /* The database's address under one of the Secret's keys, and its password. */ -}}
{{- define "llmload.database" -}}
{{- with .root.Values.databaseSecret }}
- name: LLMLOAD_PG_URL
  valueFrom:
    secretKeyRef: {name: {{ . }}, key: {{ $.key }}, optional: true}
- name: PGPASSWORD
  valueFrom:
    secretKeyRef: {name: {{ . }}, key: PGPASSWORD, optional: true}
- {name: LLMLOAD_PG_SPOOL, value: {{ $.spool }}}
{{- end }}
{{- end -}}

{{- define "llmload.scraped" -}}
{{- if .Values.metrics.enabled }}
annotations:
  prometheus.io/scrape: "true"
  prometheus.io/port: "9464"
{{- end }}
{{- end -}}

{{- define "llmload.clusterSecret" -}}
{{- .Values.clusterSecret | default (include "llmload.name" (dict "root" . "part" "cluster")) -}}
{{- end -}}

{{- define "llmload.egress" -}}
- to:
    - namespaceSelector: {}
  ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
- to:
    - namespaceSelector: {}
    - ipBlock:
        cidr: 0.0.0.0/0
        except: [169.254.0.0/16]
    - ipBlock:
        cidr: "::/0"
        except: ["fe80::/10", "fd00:ec2::254/128"]
  ports:
    - {port: 1, endPort: 65535, protocol: TCP}
{{- end -}}
