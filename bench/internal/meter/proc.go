package meter

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ticks is the number of clock ticks of /proc/PID/stat in a second: on Linux always 100.
const ticks = 100

// processTime returns how many seconds of processor time a process has used, including its
// children, also those that ended.
func processTime(pid int) (float64, error) {
	own, err := statOf(strconv.Itoa(pid))
	if err != nil {
		return 0, err
	}
	total := own.times[0] + own.times[1] + own.times[2] + own.times[3]
	others, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, dir := range others {
		s, err := statOf(filepath.Base(dir))
		if err == nil && s.parent == pid { // the parent's counts include a child that has ended
			total += s.times[0] + s.times[1]
		}
	}
	return float64(total) / ticks, nil
}

type stat struct {
	parent int
	times  [4]int64 // user, system, and both of ended children; ticks
}

func statOf(pid string) (s stat, err error) {
	text, err := os.ReadFile("/proc/" + pid + "/stat") //nolint:gosec // pid is a number
	if err != nil {
		return s, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name before it may contain spaces
	fields := strings.Fields(rest)
	if len(fields) < 15 {
		return s, fmt.Errorf("/proc/%s/stat: too short", pid)
	}
	s.parent, _ = strconv.Atoi(fields[1])
	for i := range s.times {
		s.times[i], _ = strconv.ParseInt(fields[11+i], 10, 64)
	}
	return s, nil
}

// Device returns a counter of the flushes of the disk that has a file or folder. It also counts
// other users of that disk: measure on a quiet machine. If the system has no such count, it counts
// none.
func Device(path string) func() (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	major, minor := st.Dev>>8&0xfff, st.Dev&0xff|st.Dev>>12&0xfff00
	file := fmt.Sprintf("/sys/dev/block/%d:%d/stat", major, minor)
	if _, err := os.Stat(file); err != nil {
		return nil
	}
	return func() (int64, error) {
		text, err := os.ReadFile(file) //nolint:gosec // a name made above
		if err != nil {
			return 0, err
		}
		const flushes = 15 // the column, see the kernel's Documentation/block/stat.rst
		fields := strings.Fields(string(text))
		if len(fields) <= flushes {
			return 0, nil
		}
		return strconv.ParseInt(fields[flushes], 10, 64)
	}
}
