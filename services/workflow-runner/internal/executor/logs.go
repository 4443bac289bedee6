package executor

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/argosy-mesh/argosy/libs/flow/protocol"
)

// logLimit bounds what is kept of the output of one container; the rest goes to its pod's log only.
const logLimit = 1 << 30

// makeLogs makes the folder of logs, where containers of any user may write.
func makeLogs(staging string) error {
	dir := filepath.Join(staging, filepath.Base(protocol.LogsDir))
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("make the folder of logs: %w", err)
	}
	// Whatever the umask says.
	if err := os.Chmod(dir, 0o777); err != nil {
		return fmt.Errorf("make the folder of logs: %w", err)
	}
	return nil
}

// keepLogs lets both streams write to the file of the logs too, as they arrive. Nil keeps nothing.
func keepLogs(logs *protocol.Transfer, std *Streams) (done func(), err error) {
	if logs == nil {
		return func() {}, nil
	}
	file, err := os.OpenFile(logs.Path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o666)
	if err != nil {
		return nil, fmt.Errorf("keep the logs: %w", err)
	}
	k := &boundedLog{file: file, left: logLimit}
	std.Out, std.Err = io.MultiWriter(std.Out, k), io.MultiWriter(std.Err, k)
	return func() { _ = file.Close() }, nil
}

// boundedLog writes down what fits. That there is no room must not end the program.
type boundedLog struct {
	mu   sync.Mutex
	file io.Writer
	left int64
}

// Write takes everything.
func (k *boundedLog) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := min(int64(len(p)), k.left); n > 0 {
		k.left -= n
		if _, err := k.file.Write(p[:n]); err != nil {
			k.left = 0
		}
	}
	return len(p), nil
}
