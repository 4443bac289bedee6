// Package node is what pods leave on a machine, kept in places from which it
// can be taken away: a mount namespace that containerd and the kubelet share
// and that dies with them, and a cgroup that all containers are under.
package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Private are the directories, at paths that are compiled into the kubelet,
// containerd and the CNI library, that each node has of its own.
var Private = []string{"/run/netns", "/run/containerd", "/var/log/containers", "/var/lib/cni", "/var/lib/kubelet"}

// last is mounted last, so that it tells whether all are.
const last = "/var/lib/kubelet"

// Hold makes a mount namespace's private directories and keeps it alive until
// a signal. It must run in a mount namespace of its own; it fails rather than
// mount over the machine's directories. Network namespaces are files under
// /run/netns: with this one private, whatever "ip netns" does to the
// machine's cannot disturb pods.
func Hold(kubeletDir string) error {
	if !Holds(os.Getpid()) {
		own, err := os.Readlink("/proc/self/ns/mnt")
		parent, parentErr := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", os.Getppid()))
		if err := mayMount(own, parent, errors.Join(err, parentErr)); err != nil {
			return err
		}
		if err := mountAll(kubeletDir); err != nil {
			return err
		}
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	<-signals
	return nil
}

// mayMount compares the holder's namespace with that of the up command that
// started it. Not being able to compare is a no: the mounts would be the
// machine's.
func mayMount(own, parent string, err error) error {
	if err != nil {
		return fmt.Errorf("refusing to mount, because the mount namespaces cannot be compared: %w", err)
	}
	if own == parent {
		return errors.New("refusing to mount in the mount namespace of the parent; only localcluster up may run this")
	}
	return nil
}

func mountAll(kubeletDir string) error {
	// Private first, so that nothing reaches the machine; then shared among
	// the processes within, because volumes may ask for propagation.
	for _, flags := range []uintptr{syscall.MS_REC | syscall.MS_PRIVATE, syscall.MS_REC | syscall.MS_SHARED} {
		if err := syscall.Mount("", "/", "", flags, ""); err != nil {
			return fmt.Errorf("change mount propagation: %w", err)
		}
	}
	for _, dir := range Private {
		if dir == last {
			continue
		}
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"); err != nil {
			return fmt.Errorf("mount tmpfs on %s: %w", dir, err)
		}
	}
	if err := syscall.Mount(kubeletDir, last, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s on %s: %w", kubeletDir, last, err)
	}
	return nil
}

// Holds tells whether a process is in a namespace that Hold has prepared.
func Holds(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(raw)) {
		if fields := strings.Fields(line); len(fields) > 4 && fields[4] == last {
			return true
		}
	}
	return false
}

// MakePrivate makes the mount points that are missing and returns them, to be
// removed again.
func MakePrivate() ([]string, error) {
	var made []string
	for _, dir := range Private {
		if _, err := os.Stat(dir); err == nil {
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return made, fmt.Errorf("make mount point: %w", err)
		}
		made = append(made, dir)
	}
	return made, nil
}

// Enter prefixes argv so that it runs in the mount namespace of a process.
func Enter(pid int, argv []string) []string {
	return append([]string{"nsenter", "--mount", "--target", strconv.Itoa(pid), "--"}, argv...)
}

// Shims are the processes that containerd, at that socket, has left to watch
// over containers; they outlive it.
func Shims(socket string) []int {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var pids []int
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		args := strings.Split(string(raw), "\x00")
		if !strings.HasPrefix(filepath.Base(args[0]), "containerd-shim") ||
			!strings.Contains(string(raw), "\x00"+socket+"\x00") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Remove deletes directories that are empty; the others are in use.
func Remove(dirs []string) error {
	for _, dir := range dirs {
		err := os.Remove(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) {
			return fmt.Errorf("remove mount point: %w", err)
		}
	}
	return nil
}
