// Package program lets the tests of an example run it as what it is: a process of its own, which is the test binary over again.
package program

import (
	"bytes"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota/sqlstore/pgtest"
)

const asProgram = "OTA_EXAMPLE_TEST"

// Main is for TestMain: it runs the tests, or main in a process that Command has made.
func Main(m *testing.M, main func()) {
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	pgtest.Main(m)
}

// Command is the program with these arguments, not yet started.
func Command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// Output gathers what a program prints while somebody looks at it.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

// String is all that was printed so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
