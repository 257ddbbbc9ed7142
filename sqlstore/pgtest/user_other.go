//go:build !unix

package pgtest

import (
	"errors"
	"syscall"
)

func as(*credential) *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

// unprivileged refuses: the server of the tests listens on a unix socket. Set Env to the URL of one
// that runs.
func unprivileged() (*credential, error) {
	return nil, errors.New("a cluster of their own is for tests on Unix")
}
