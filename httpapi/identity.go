package httpapi

import (
	"cmp"
	"crypto/sha1" //nolint:gosec // what version 5 of RFC 9562 is made of; nothing is secured by it
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// Who a component is, is derived from its names: the same names give the same UUIDs, on every
// machine and for good.
var identitySpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("github.com/seed-19b57ce3/ota/component"))

// componentName is the name of a component of which nothing is known.
const componentName = "agent"

var componentUUID = identity("component:", componentName)

func nameOf(c ota.Component) string { return cmp.Or(c.Name, componentName) }

// uuidOf is what the Resolver said, when that is a UUID in any of its spellings, and else derived
// from the parts of a name.
func uuidOf(said, kind string, name ...string) string {
	if said != "" {
		if u, err := uuid.Parse(said); err == nil {
			return hex.EncodeToString(u[:])
		}
	}
	return identity(kind, name...)
}

// identity returns 32 hex digits of a UUIDv5: uuid.NewSHA1 without its allocations, which a million
// tasks would feel.
func identity(kind string, name ...string) string {
	var room [384]byte
	b := append(append(room[:0], identitySpace[:]...), kind...)
	for _, part := range name {
		b = append(b, part...)
	}
	sum := sha1.Sum(b) //nolint:gosec // see the import
	sum[6] = sum[6]&0x0f | 0x50
	sum[8] = sum[8]&0x3f | 0x80
	return string(hex.AppendEncode(room[:0], sum[:16]))
}

// taskKey names one task of one plan. It is written into the task's UUID, so that the UUID alone
// finds the task.
type taskKey struct {
	plan    string
	ordinal int // the agent's place in the plan
	task    int // which of the agent's tasks
}

// String returns hex digits: 8 for the ordinal, 4 for the task, then those of the plan.
func (k taskKey) String() string { return taskDigits("", k.ordinal, k.task, planDigits(k.plan)) }

// planDigits is what all tasks of a plan have in common: 0 and a UUID's 32 hex digits, or 1 and
// those of the ID's bytes.
func planDigits(plan string) string {
	if id, ok := strings.CutPrefix(plan, "plan-"); ok {
		if u, err := uuid.Parse(id); err == nil && u.String() == id {
			return "0" + hex.EncodeToString(u[:])
		}
	}
	return "1" + hex.EncodeToString([]byte(plan))
}

func taskDigits(prefix string, ordinal, task int, plan string) string {
	var room [64]byte
	b := appendHex(append(room[:0], prefix...), uint64(ordinal), 8)
	return string(append(appendHex(b, uint64(task), 4), plan...))
}

func appendHex(b []byte, v uint64, digits int) []byte {
	for i := digits - 1; i >= 0; i-- {
		b = append(b, "0123456789abcdef"[v>>(4*i)&15])
	}
	return b
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

// taskOf is one task of an agent on the wire. digits are those of the plan.
func taskOf(p *ota.Plan, digits string, a *ota.AgentInfo, i int) wire.Task {
	t := &a.Tasks[i]
	c := &t.Component
	name := nameOf(*c)
	out := wire.Task{
		ComponentUUID: componentUUID, ComponentInstanceUUID: instanceOf(a, c, name),
		LifecycleTaskUUID: taskDigits("task-", a.Ordinal, i, digits), ComponentName: name, TaskType: "update",
		Status: statusWord(t.Status), NodeUUID: uuidOf(c.Node, "node:", cmp.Or(c.Node, a.ID)),
		LCAUUID: uuidOf(c.Owner, "lca:", cmp.Or(c.Owner, a.ID)), AgentID: a.ID, ActualVersion: t.Version, Error: t.Error,
	}
	if of := cmp.Or(c.ID, name); of != componentName {
		out.ComponentUUID = uuidOf(c.ID, "component:", of)
	}
	if p.Source != "" {
		out.TaskType = "rollback"
	}
	if t.Status == ota.TaskSucceeded && t.Version == "" {
		out.ActualVersion = t.Target
		if t.Target == p.ToVersion || *c != (ota.Component{}) {
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

// instanceOf is the UUID of the component that this agent has.
func instanceOf(a *ota.AgentInfo, c *ota.Component, name string) string {
	if c.Instance == "" {
		return identity("instance:", a.ID, "\x00", name)
	}
	return uuidOf(c.Instance, "instance:", a.ID, "\x00", name, "\x00", c.Instance)
}

// statusWord is a task's status on the wire, where a task between two attempts is still running.
func statusWord(s ota.TaskStatus) string {
	if s == ota.TaskWaiting {
		s = ota.TaskRunning
	}
	return s.String()
}
