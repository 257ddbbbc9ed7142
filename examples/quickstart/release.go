package main

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"
)

// published has the releases so far: a folder for each, with a manifest that the agent program
// reads.
//
//go:embed releases
var published embed.FS

// release is the manifest of a release.
type release struct {
	Version string   `json:"version"`
	Notes   string   `json:"notes"`
	Needs   []string `json:"needs"`  // features that the machine's kernel must have
	Warmup  string   `json:"warmup"` // how long the agent takes to start
}

func readRelease(dir string) (r release, err error) {
	return r, readJSON(filepath.Join(dir, "release.json"), &r)
}

// fits returns nil, or an error that says why the release cannot run on a machine.
func (r release) fits(h hardware) error {
	for _, need := range r.Needs {
		if !slices.Contains(h.Features, need) {
			return fmt.Errorf("release %s needs %s, which kernel %s of this %s lacks", r.Version, need, h.Kernel, h.Model)
		}
	}
	return nil
}

// warmup returns how long the agent of a machine takes to start: half to one and a half times the
// manifest's value, because no two machines are equally fast.
func (r release) warmup(machine string) time.Duration {
	d, _ := time.ParseDuration(r.Warmup)
	h := fnv.New32a()
	h.Write([]byte(machine))
	return d/2 + d*time.Duration(h.Sum32()%1000)/1000
}

// hardware describes a machine; an agent finds it in machine.json.
type hardware struct {
	Model    string   `json:"model"`
	Kernel   string   `json:"kernel"`
	Features []string `json:"features"`
}

// install adds a release to an agent's folder. It first writes it under another name, so that the
// folder has the whole release or nothing. Calling install again does no harm.
func install(home, version string) error {
	target := filepath.Join(home, "releases", version)
	if _, err := os.Stat(target); err == nil {
		return nil
	}
	source, err := fs.Sub(published, path.Join("releases", version))
	if err != nil {
		return err
	}
	if _, err := fs.Stat(source, "release.json"); err != nil {
		return fmt.Errorf("release %s is not published", version)
	}
	tmp, err := os.MkdirTemp(home, "install-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp) // after the rename there is nothing to remove
	if err := copyFolder(tmp, source); err != nil {
		return fmt.Errorf("install %s: %w", version, err)
	}
	if err := os.Rename(tmp, target); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("install %s: %w", version, err)
	}
	return syncPath(filepath.Dir(target))
}

// activate makes a release the current one, atomically: a rename replaces the link.
func activate(home, version string) error {
	link, want := filepath.Join(home, "current"), filepath.Join("releases", version)
	if have, err := os.Readlink(link); err == nil && have == want {
		return nil
	}
	tmp := link + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(want, tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, link); err != nil {
		return err
	}
	return syncPath(home)
}

func copyFolder(dir string, source fs.FS) error {
	err := fs.WalkDir(source, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		target := filepath.Join(dir, filepath.FromSlash(name))
		if entry.IsDir() {
			return os.Mkdir(target, 0o755)
		}
		data, err := fs.ReadFile(source, name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(target, data, 0o644); err != nil {
			return err
		}
		return syncPath(target)
	})
	if err != nil {
		return err
	}
	return syncPath(dir)
}

// syncPath makes a file, or the names in a folder, survive a power cut.
func syncPath(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func readJSON(name string, v any) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func writeJSON(name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(data, '\n'), 0o644)
}
