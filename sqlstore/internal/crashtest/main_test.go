//go:build unix

package crashtest

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/seed-19b57ce3/ota/sqlstore/pgtest"
)

var (
	all      = flag.Bool("crash.all", false, "do all that .ci/run does: 1,000 kills, 50 power cuts, and more of everything")
	kills    = flag.Int("crash.kills", 0, "how many engines are killed, seven of ten on SQLite, the others on PostgreSQL; 0: 200, 40 with -short")
	powerOff = flag.Int("crash.cuts", 0, "how often the power is cut; 0: 15, 6 with -short")
	seedFlag = flag.Uint64("crash.seed", 1, "seed of what is random about plans and moments")
)

// childEnv holds the order of a child process.
const childEnv = "OTA_CRASHTEST_CHILD"

// TestMain makes the binary an engine when a test starts it again as that.
func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		var o order
		err := json.Unmarshal([]byte(text), &o)
		if err == nil {
			err = o.carryOut()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	pgtest.Main(m)
}

// amount is how much of something a test does: everything, what fits into a run of all tests, or a little.
func amount(everything, some, little int) int {
	switch {
	case *all:
		return everything
	case testing.Short() || raceEnabled:
		return little
	default:
		return some
	}
}
