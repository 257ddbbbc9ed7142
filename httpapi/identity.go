package httpapi

import (
	"cmp"
	"crypto/sha1" //nolint:gosec // what version 5 of RFC 9562 is made of; nothing is secured by it
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/seed-19b57ce3/ota"
)

// Who a component is, is derived from its names: the same names give the same UUIDs, on every machine and for good.
var identitySpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("github.com/seed-19b57ce3/ota/component"))

// componentName is the name of a component of which nothing is known.
const componentName = "agent"

var componentUUID = identity("component:", componentName)

func nameOf(c ota.Component) string { return cmp.Or(c.Name, componentName) }

// uuidOf is what the Resolver said, when that is a UUID in any of its spellings, and else derived from name.
func uuidOf(said, kind, name string) string {
	if said != "" {
		if u, err := uuid.Parse(said); err == nil {
			return hex.EncodeToString(u[:])
		}
		if kind == "component:" {
			name = said
		}
	}
	if kind == "component:" && name == componentName {
		return componentUUID
	}
	return identity(kind, name)
}

// identity returns 32 hex digits of a UUIDv5: uuid.NewSHA1 without its allocations, which a million tasks would feel.
func identity(kind, name string) string {
	var b [384]byte
	sum := sha1.Sum(append(append(append(b[:0], identitySpace[:]...), kind...), name...)) //nolint:gosec // see the import
	sum[6] = sum[6]&0x0f | 0x50
	sum[8] = sum[8]&0x3f | 0x80
	return string(hex.AppendEncode(b[:0], sum[:16]))
}

// taskKey names one task of one plan. It is written into the task's UUID, so that the UUID alone finds the task.
type taskKey struct {
	plan    string
	ordinal int // the agent's place in the plan
	task    int // which of the agent's tasks
}

// String returns hex digits: 8 for the ordinal, 4 for the task, then the plan: 0 and a UUID's 32, or 1 and the ID's bytes.
func (k taskKey) String() string {
	b := make([]byte, 0, 48)
	b = appendHex(b, uint64(k.ordinal), 8)
	b = appendHex(b, uint64(k.task), 4)
	if id, ok := strings.CutPrefix(k.plan, "plan-"); ok {
		if u, err := uuid.Parse(id); err == nil && u.String() == id {
			return string(hex.AppendEncode(append(b, '0'), u[:]))
		}
	}
	return string(hex.AppendEncode(append(b, '1'), []byte(k.plan)))
}

func appendHex(b []byte, v uint64, digits int) []byte {
	s := strconv.FormatUint(v, 16)
	for i := len(s); i < digits; i++ {
		b = append(b, '0')
	}
	return append(b, s...)
}

// parseTaskKey is String backwards.
func parseTaskKey(s string) (taskKey, bool) {
	if len(s) < 15 {
		return taskKey{}, false
	}
	ordinal, err := strconv.ParseUint(s[:8], 16, 31)
	if err != nil {
		return taskKey{}, false
	}
	task, err := strconv.ParseUint(s[8:12], 16, 16)
	if err != nil {
		return taskKey{}, false
	}
	plan, err := hex.DecodeString(s[13:])
	if err != nil {
		return taskKey{}, false
	}
	k := taskKey{ordinal: int(ordinal), task: int(task), plan: string(plan)}
	if s[12] == '0' {
		u, err := uuid.FromBytes(plan)
		if err != nil {
			return taskKey{}, false
		}
		k.plan = "plan-" + u.String()
	}
	return k, k.String() == s
}

// taskOf is one task of an agent on the wire.
func taskOf(p *ota.Plan, a *ota.AgentInfo, i int) Task {
	t := &a.Tasks[i]
	c := t.Component
	name := nameOf(c)
	instance := a.ID + "\x00" + name
	if c.Instance != "" {
		instance += "\x00" + c.Instance
	}
	out := Task{
		ComponentUUID: uuidOf(c.ID, "component:", name), ComponentInstanceUUID: uuidOf(c.Instance, "instance:", instance),
		LifecycleTaskUUID: "task-" + taskKey{p.ID, a.Ordinal, i}.String(), ComponentName: name, TaskType: "update",
		Status: statusWord(t.Status), NodeUUID: uuidOf(c.Node, "node:", cmp.Or(c.Node, a.ID)),
		LCAUUID: uuidOf(c.Owner, "lca:", cmp.Or(c.Owner, a.ID)), AgentID: a.ID, ActualVersion: t.Version,
	}
	if p.Source != "" {
		out.TaskType = "rollback"
	}
	if t.Status == ota.TaskSucceeded && t.Version == "" {
		out.ActualVersion = t.Target
		if t.Target == p.ToVersion || c != (ota.Component{}) {
			out.ActualRelease = t.TargetRelease
		}
	}
	switch {
	case a.Unhealthy:
		out.RuntimeStatus = "unhealthy"
	case out.ActualVersion != "":
		out.RuntimeStatus = "running"
	}
	return out
}

// statusWord is a task's status on the wire, where a task between two attempts is still running.
func statusWord(s ota.TaskStatus) string {
	if s == ota.TaskWaiting {
		s = ota.TaskRunning
	}
	return s.String()
}
