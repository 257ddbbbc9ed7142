package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota/examples/internal/program"
	"github.com/seed-19b57ce3/ota/httpapi/client"
)

// TestMain makes the test binary the server when a test starts it as such.
func TestMain(m *testing.M) { program.Main(m, main) }

// server is the program, started by a test.
type server struct {
	*exec.Cmd
	url    string
	stdout io.Reader
	log    program.Output
}

// start starts the server and waits until it listens.
func start(t *testing.T, args ...string) *server {
	t.Helper()
	s := &server{Cmd: program.Command(args...)}
	s.Stderr = &s.log
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Process.Kill() })
	r := bufio.NewReader(out)
	line, err := r.ReadString('\n')
	s.stdout = r
	s.url = strings.TrimSuffix(strings.TrimPrefix(line, "listening on "), "\n")
	if err != nil || !strings.HasPrefix(s.url, "http://127.0.0.1:") || strings.HasSuffix(s.url, ":0") {
		_ = s.Wait()
		t.Fatalf("it printed %q, %v\n%s", line, err, s.log.String())
	}
	return s
}

// stop ends the server like a service manager, and checks that it exits cleanly.
func (s *server) stop(t *testing.T) {
	t.Helper()
	hung := time.AfterFunc(time.Minute, func() { _ = s.Process.Kill() })
	defer hung.Stop()
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(s.stdout)
	if err := s.Wait(); err != nil {
		t.Errorf("it ended with %v\n%s", err, s.log.String())
	}
	if len(rest) > 0 {
		t.Errorf("on standard output it also printed %q", rest)
	}
}

// kill ends the server like a crash.
func (s *server) kill(t *testing.T) {
	t.Helper()
	if err := s.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = s.Wait()
}

// client returns a client with connections of its own.
func (s *server) client(t *testing.T, token string) *client.Client {
	t.Helper()
	c, err := client.New(s.url, client.Options{
		Token: token, HTTP: &http.Client{Transport: &http.Transport{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// timedOut is curl's exit code after its --max-time.
const timedOut = 28

// curl runs a command of the documentation with $H, $T and $ID set.
func (s *server) curl(t *testing.T, id, command string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(command, "curl ", "curl -sS "))
	cmd.Env = append(os.Environ(), "H="+s.url, "T=T", "ID="+id)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState.ExitCode() != timedOut {
		t.Fatalf("%s: %v: %s", command, err, stderr.String())
	}
	return string(out)
}
