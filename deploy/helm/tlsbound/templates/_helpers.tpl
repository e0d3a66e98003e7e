{{- define "tlsbound.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "tlsbound.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "tlsbound.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "tlsbound.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "tlsbound.selector" -}}
app.kubernetes.io/name: {{ include "tlsbound.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tlsbound.labels" -}}
{{ include "tlsbound.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "tlsbound.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "tlsbound.serverSecret" -}}
{{- if .Values.serverCertificate.certManager.enabled -}}
{{ include "tlsbound.fullname" . }}-server-tls
{{- else -}}
{{ required "serverCertificate.existingSecret is missing: name a Secret with tls.crt and tls.key, or set serverCertificate.certManager.enabled" .Values.serverCertificate.existingSecret }}
{{- end -}}
{{- end -}}

{{/* What cannot work is refused here, with what to do. */}}
{{- define "tlsbound.check" -}}
{{- $_ := required "issuer is missing: the https address that clients use, such as https://auth.example.org" .Values.issuer -}}
{{- if and (gt (int .Values.replicas) 1) (not .Values.postgres.url) -}}
{{- fail "replicas: several servers need one database; set postgres.url" -}}
{{- end -}}
{{- if and .Values.postgres.existingSecret (not .Values.postgres.url) -}}
{{- fail "postgres.url is missing: postgres://USER@HOST:PORT/DATABASE, without a password" -}}
{{- end -}}
{{- if regexMatch "[?&]password=" .Values.postgres.url -}}
{{- fail "postgres.url contains a password, which every reader of the Deployment sees; put it into a Secret and name it in postgres.existingSecret" -}}
{{- end -}}
{{- if and .Values.postgres.url (not .Values.signingKeys.existingSecret) -}}
{{- fail "signingKeys.existingSecret is missing: servers that share a database need the same signing keys" -}}
{{- end -}}
{{- if eq (empty .Values.clientCa.existingConfigMap) (empty .Values.clientCa.existingSecret) -}}
{{- fail "clientCa: set either existingConfigMap or existingSecret, with the authorities of the clients' certificates" -}}
{{- end -}}
{{- if eq (empty .Values.existingClientsConfigMap) (empty .Values.clients) -}}
{{- fail "clients: list at least one registration, or set existingClientsConfigMap" -}}
{{- end -}}
{{- if and (eq (default "" .Values.settings.TLSBOUND_WORKERS) "auto") (not (dig "limits" "cpu" "" .Values.resources)) -}}
{{- fail "settings.TLSBOUND_WORKERS: auto starts a worker for each core of the node; set a number, or resources.limits.cpu" -}}
{{- end -}}
{{- if and .Values.postgres.url (regexMatch "^(/data/|[^/])" (default "" .Values.settings.TLSBOUND_AUDIT_FILE)) -}}
{{- fail "settings.TLSBOUND_AUDIT_FILE: with postgres.url, /data is limited to 16 MiB and ends with the pod; remove the setting, so that events go to standard output, or name a file in a volume of extraVolumes" -}}
{{- end -}}
{{- if and .Values.serverCertificate.certManager.enabled .Values.serverCertificate.existingSecret -}}
{{- fail "serverCertificate: set either existingSecret or certManager.enabled" -}}
{{- end -}}
{{- end -}}
