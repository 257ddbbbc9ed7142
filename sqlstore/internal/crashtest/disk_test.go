//go:build linux

package crashtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// disk is a file system whose power can be cut. A file on XFS is the disk, an ext4 on it has the database, and a reflink
// copy of the file is what is left after a cut: all that the disk was given until then, and nothing that only the
// kernel's cache of ext4 knew.
type disk struct {
	dir   string
	image string
	root  string // where ext4 is mounted
	cuts  int
}

// newDisk returns a disk, and undoes all of it when the test ends. Without the privilege to mount, the error says so.
func newDisk(t *testing.T) (*disk, error) {
	dir := shortDir(t)
	outer, file := filepath.Join(dir, "xfs"), filepath.Join(dir, "disk")
	d := &disk{dir: dir, image: filepath.Join(outer, "image"), root: filepath.Join(dir, "root")}
	err := errors.Join(os.Mkdir(outer, 0o700), os.Mkdir(d.root, 0o700), sparse(file, 2<<30))
	if err == nil {
		_, err = run("mkfs.xfs", "-q", "-m", "reflink=1", file)
	}
	if err == nil {
		err = mount(t, file, outer)
	}
	if err == nil {
		err = sparse(d.image, 192<<20)
	}
	if err == nil {
		_, err = run("mkfs.ext4", "-q", d.image)
	}
	if err == nil {
		err = mount(t, d.image, d.root)
	}
	return d, err
}

func sparse(name string, size int64) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

// mount mounts a file until the test ends.
func mount(t *testing.T, file, at string) error {
	device, err := run("losetup", "--find", "--show", file)
	if err != nil {
		return err
	}
	t.Cleanup(func() { cleanUp(t, "losetup", "--detach", device) })
	if _, err := run("mount", device, at); err != nil {
		return err
	}
	t.Cleanup(func() {
		if _, err := run("mountpoint", "-q", at); err == nil {
			cleanUp(t, "umount", at)
		}
	})
	return nil
}

func cleanUp(t *testing.T, name string, args ...string) {
	if _, err := run(name, args...); err != nil {
		t.Error(err)
	}
}

// cut copies the disk as it is at this moment.
func (d *disk) cut() (image string, err error) {
	d.cuts++
	image = fmt.Sprintf("%s.%d", d.image, d.cuts)
	_, err = run("cp", "--reflink=always", d.image, image)
	return image, err
}

// powerOn mounts what a cut has left for as long as f runs.
func (d *disk) powerOn(image string, f func(root string)) error {
	root := filepath.Join(d.dir, "after")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return err
	}
	defer os.Remove(image)
	if _, err := run("mount", "-o", "loop", image, root); err != nil {
		return err
	}
	f(root)
	_, err := run("umount", root)
	return err
}

func run(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil {
		return text, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, text)
	}
	return text, nil
}
