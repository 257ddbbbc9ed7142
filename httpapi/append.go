package httpapi

import (
	"encoding/json"

	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// appendTask appends a task as encoding/json writes it, field by field: a large plan is nothing but
// tasks, and asking encoding/json for each of them takes as long as everything else that reading
// the plan back does.
func appendTask(b []byte, t *wire.Task) []byte {
	b = appendText(append(b, `{"componentUuid":`...), t.ComponentUUID)
	b = appendText(append(b, `,"componentInstanceUuid":`...), t.ComponentInstanceUUID)
	b = appendText(append(b, `,"lifecycleTaskUuid":`...), t.LifecycleTaskUUID)
	b = appendText(append(b, `,"componentName":`...), t.ComponentName)
	b = appendText(append(b, `,"taskType":`...), t.TaskType)
	b = appendText(append(b, `,"status":`...), t.Status)
	b = appendText(append(b, `,"nodeUuid":`...), t.NodeUUID)
	b = appendText(append(b, `,"lcaUuid":`...), t.LCAUUID)
	b = appendText(append(b, `,"agentId":`...), t.AgentID)
	if t.RuntimeStatus != "" {
		b = appendText(append(b, `,"runtimeStatus":`...), t.RuntimeStatus)
	}
	if t.ActualVersion != "" {
		b = appendText(append(b, `,"actualVersion":`...), t.ActualVersion)
	}
	if t.ActualRelease != "" {
		b = appendText(append(b, `,"actualRelease":`...), t.ActualRelease)
	}
	if t.Error != "" {
		b = appendText(append(b, `,"error":`...), t.Error)
	}
	return append(b, '}')
}

// appendText appends a string as encoding/json writes it.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic(err) // a string always encodes
			}
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
