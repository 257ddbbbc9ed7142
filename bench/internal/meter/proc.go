package meter

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ticks is how many clock ticks of /proc/PID/stat a second has: on Linux always 100.
const ticks = 100

// processTime is how many seconds of processor time a process has used, with its children, those that ended included.
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
		if err == nil && s.parent == pid { // one that has ended meanwhile is counted by its parent
			total += s.times[0] + s.times[1]
		}
	}
	return float64(total) / ticks, nil
}

type stat struct {
	parent int
	times  [4]int64 // user, system, and both of children that ended; ticks
}

func statOf(pid string) (s stat, err error) {
	text, err := os.ReadFile("/proc/" + pid + "/stat") //nolint:gosec // pid is a number
	if err != nil {
		return s, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name before it may have spaces
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

// Device returns a counter of the flushes of the disk that a file or folder is on. Whatever else uses that disk meanwhile is
// counted, too: measure on a quiet machine. Where the system does not tell, it counts none.
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
