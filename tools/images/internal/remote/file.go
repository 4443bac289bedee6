package remote

import (
	"io"
	"os"
)

type readCloser = io.ReadCloser

func open(path string) (readCloser, error) { return os.Open(path) }
