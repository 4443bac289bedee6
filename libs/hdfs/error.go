package hdfs

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/fault"
)

// remoteError is an exception that a name node says in the place of an answer.
type remoteError struct{ class, text string }

// Error says the last part of the class, and the text.
func (e *remoteError) Error() string {
	return fmt.Sprintf("%s: %s", e.class[strings.LastIndex(e.class, ".")+1:], e.text)
}

// Is knows the exceptions that others test for.
func (e *remoteError) Is(target error) bool {
	return target == fs.ErrNotExist && e.class == "java.io.FileNotFoundException" ||
		target == fs.ErrExist && e.class == "org.apache.hadoop.fs.FileAlreadyExistsException"
}

// standby reports whether another name node is the one to ask.
func (e *remoteError) standby() bool {
	return e.class == "org.apache.hadoop.ipc.StandbyException" ||
		e.class == "org.apache.hadoop.ipc.ObserverRetryOnActiveException"
}

// waits reports whether the name node needs time before it gives the next block.
func waits(err error) bool {
	said, is := errors.AsType[*remoteError](err)
	return is && strings.HasSuffix(said.class, ".NotReplicatedYetException")
}

// final are the exceptions that repeating does not change. All others, such as that of safe mode, may pass.
var final = map[string]bool{
	"java.lang.IllegalArgumentException":                                 true,
	"org.apache.hadoop.HadoopIllegalArgumentException":                   true,
	"org.apache.hadoop.fs.FileAlreadyExistsException":                    true,
	"org.apache.hadoop.fs.InvalidPathException":                          true,
	"org.apache.hadoop.fs.ParentNotDirectoryException":                   true,
	"org.apache.hadoop.fs.UnresolvedLinkException":                       true,
	"org.apache.hadoop.hdfs.UnknownCryptoProtocolVersionException":       true,
	"org.apache.hadoop.hdfs.protocol.DSQuotaExceededException":           true,
	"org.apache.hadoop.hdfs.protocol.NSQuotaExceededException":           true,
	"org.apache.hadoop.hdfs.protocol.SnapshotAccessControlException":     true,
	"org.apache.hadoop.hdfs.protocol.UnresolvedPathException":            true,
	"org.apache.hadoop.security.AccessControlException":                  true,
	"org.apache.hadoop.security.authorize.AuthorizationException":        true,
	"org.apache.hadoop.fs.PathComponentTooLongException":                 true,
	"org.apache.hadoop.hdfs.protocol.FSLimitException$MaxDirectoryItems": true,
}

// classed says who said it, and whether that is final.
func (e *remoteError) classed(address string) error {
	err := fmt.Errorf("name node %s says %w", address, e)
	if final[e.class] {
		return fault.AsPoison(err)
	}
	return err
}
