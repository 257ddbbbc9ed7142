package record

import (
	"os"
	"runtime"
	"strconv"
	"strings"
)

// Machine describes where a result was measured.
type Machine struct {
	CPU     string            `json:"cpu"`
	Cores   int               `json:"cores"`
	Memory  int64             `json:"memory"` // bytes
	Kernel  string            `json:"kernel"`
	Go      string            `json:"go"`
	Servers map[string]string `json:"servers,omitempty"` // versions of the programs that were used
}

// ThisMachine returns a description of this machine. Fields that only Linux provides are empty
// elsewhere.
func ThisMachine() Machine {
	return Machine{
		CPU: field("/proc/cpuinfo", "model name"), Cores: runtime.GOMAXPROCS(0), Memory: memory(),
		Kernel: kernel(), Go: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH,
	}
}

func field(file, name string) string {
	text, _ := os.ReadFile(file) //nolint:gosec // a name of this file
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func memory() int64 {
	kib, _ := strconv.ParseInt(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB"), 10, 64)
	return kib << 10
}

func kernel() string {
	text, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(text))
}
