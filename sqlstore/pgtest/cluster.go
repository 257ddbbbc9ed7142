package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Cluster is a PostgreSQL server that is a child of this process.
type Cluster struct {
	bin, dir   string
	credential *credential
	server     *exec.Cmd
	exited     chan struct{}
	hasty      bool // does not wait for the disk
}

// New makes a cluster in a temporary folder and starts it. Stop it when it is no longer needed.
func New() (*Cluster, error) { return newCluster(false) }

func newCluster(hasty bool) (*Cluster, error) {
	bin, err := install()
	if err != nil {
		return nil, err
	}
	c := &Cluster{bin: bin, hasty: hasty}
	if c.credential, err = unprivileged(); err != nil {
		return nil, err
	}
	if c.dir, err = os.MkdirTemp("", "pgtest"); err != nil {
		return nil, err
	}
	if err := c.create(); err != nil {
		os.RemoveAll(c.dir)
		return nil, err
	}
	return c, nil
}

func (c *Cluster) create() error {
	if c.credential != nil {
		if err := os.Chown(c.dir, c.credential.uid, c.credential.gid); err != nil {
			return err
		}
	}
	initdb := c.command("initdb", "-D", c.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return c.Start()
}

// URL is where the server is.
func (c *Cluster) URL() string {
	return "postgres://postgres@/postgres?host=" + url.QueryEscape(c.dir)
}

// Socket is the server's unix socket.
func (c *Cluster) Socket() string { return filepath.Join(c.dir, ".s.PGSQL.5432") }

// PID is that of the server's first process.
func (c *Cluster) PID() int { return c.server.Process.Pid }

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// command runs a program of the installation. Its working directory is one that the user of the
// server may enter.
func (c *Cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.bin, name), args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME="+c.dir)
	cmd.SysProcAttr = as(c.credential)
	return cmd
}

// Start starts the server, and waits until it answers.
func (c *Cluster) Start() error {
	fsync := "fsync=on"
	if c.hasty {
		fsync = "fsync=off"
	}
	c.server = c.command("postgres", "-D", c.data(), "-k", c.dir, "-p", "5432", "-c", fsync,
		"-c", "listen_addresses=", "-c", "max_connections=200", "-c", "log_min_messages=fatal")
	var output bytes.Buffer
	c.server.Stdout, c.server.Stderr = &output, &output
	dieWithParent(c.server.SysProcAttr)
	started := make(chan error)
	c.exited = make(chan struct{})
	go func() {
		// The signal at the parent's death comes when the thread that started the child ends: it
		// must not end before.
		runtime.LockOSThread()
		err := c.server.Start()
		started <- err
		if err == nil {
			_ = c.server.Wait()
		}
		close(c.exited)
	}()
	if err := <-started; err != nil {
		return err
	}
	if err := c.answers(2 * time.Minute); err != nil {
		c.Kill()
		return fmt.Errorf("start postgres: %w\n%s", err, output.Bytes())
	}
	return nil
}

func (c *Cluster) answers(within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, c.URL())
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-c.exited:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Kill ends the server like a crash.
func (c *Cluster) Kill() {
	_ = c.server.Process.Kill()
	<-c.exited
	_ = os.Remove(filepath.Join(c.data(), "postmaster.pid"))
}

// Stop ends the server, and deletes the cluster.
func (c *Cluster) Stop() {
	_ = c.server.Process.Signal(syscall.SIGQUIT)
	select {
	case <-c.exited:
	case <-time.After(time.Minute):
		c.Kill()
	}
	os.RemoveAll(c.dir)
}

// install returns the folder that has initdb and postgres: through PATH, or where distributions put
// it, the newest.
func install() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if file, err := filepath.EvalSymlinks(path); err == nil && hasPostgres(filepath.Dir(file)) {
			return filepath.Dir(file), nil
		}
	}
	var found []string
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin", "/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		dirs, _ := filepath.Glob(pattern)
		found = append(found, dirs...)
	}
	for _, dir := range slices.Backward(found) {
		if hasPostgres(dir) {
			return dir, nil
		}
	}
	return "", errors.New("neither PATH nor the usual folders have initdb and postgres")
}

func hasPostgres(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// credential is a user that the server runs as.
type credential struct{ uid, gid int }
