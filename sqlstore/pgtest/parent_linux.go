package pgtest

import "syscall"

// dieWithParent makes the server end with the tests, however they end.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGQUIT }
