package scenarios

import (
	"hash/fnv"
	"iter"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/seed-19b57ce3/ota"
)

// Numbers of the engine that scenarios go up to. They are not promises: who changes one there changes it here.
const (
	pageSize       = 4096 // agents in the largest page
	orderChunk     = 500  // agents of an order that are carried out in one commit
	maxRefusals    = 4    // commits in a row that may be refused in one turn
	scanRest       = 9    // a list of the plans is followed by a rest this many times as long
	releaseEvery   = time.Second
	explainTimeout = 500 * time.Millisecond // how long Explain waits for the driver of a plan
	idAllowed      = "1 to 255 bytes of UTF-8 without control and invisible characters, and without blanks around it"
)

// rollbackID is the ID of the rollback plan number n of a plan.
func rollbackID(source string, n int) string {
	space := uuid.NewSHA1(uuid.NameSpaceURL, []byte("github.com/seed-19b57ce3/ota/rollback"))
	return "plan-" + uuid.NewSHA1(space, []byte(source+"/"+strconv.Itoa(n))).String()
}

// jitterOf is a number for each attempt, always the same.
func jitterOf(plan, agent string, task int, number uint32) uint64 {
	h := fnv.New64a()
	h.Write([]byte(plan + "\x00" + agent + "\x00" + strconv.Itoa(task) + "\x00" + strconv.Itoa(int(number))))
	return h.Sum64()
}

func listed(agents []ota.Agent) iter.Seq2[ota.Agent, error] {
	return func(yield func(ota.Agent, error) bool) {
		for _, a := range agents {
			if !yield(a, nil) {
				return
			}
		}
	}
}
