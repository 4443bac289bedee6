// Package wal is a write-ahead log on the local disk for a handful of minutes: a
// place for records while the one they belong to is away.
//
// A record is durable when Append returns. After a kill -9 everything appended is
// there again, except what was marked as done; a record that was being written is
// cut off, its sender never got an answer. What is damaged is set aside. After a power cut the mark of what is
// done may be older than the truth, so records may come twice: readers need ids.
package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// ErrFull means that the disk budget is used up; nothing was written.
var ErrFull = errors.New("the write-ahead log is full")

// header is the length and the CRC of a record, each four bytes.
const header = 8

// Log is an append-only file with a mark up to which it is done. Safe for
// concurrent use by many writers and one reader.
type Log struct {
	mu     sync.Mutex
	file   *os.File
	mark   *os.File
	budget int64
	size   int64 // where the next record goes
	done   int64 // where the first open record begins
	open   int   // records between done and size

	asideMu sync.Mutex
}

// Open opens or makes the log in dir. budget bounds its bytes on disk.
func Open(dir string, budget int64) (*Log, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the write-ahead log: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "records"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the write-ahead log: %w", err)
	}
	mark, err := os.OpenFile(filepath.Join(dir, "done"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the write-ahead log: %w", err), file.Close())
	}
	l := &Log{file: file, mark: mark, budget: budget}
	if err := l.recover(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// recover counts what is open and cuts off a record that was not finished.
func (l *Log) recover() error {
	var raw [8]byte
	if n, _ := l.mark.ReadAt(raw[:], 0); n == len(raw) {
		l.done = int64(binary.BigEndian.Uint64(raw[:]))
	}
	info, err := l.file.Stat()
	if err != nil {
		return fmt.Errorf("inspect the write-ahead log: %w", err)
	}
	if l.done < 0 || l.done > info.Size() {
		l.done = 0
	}
	l.size = l.done
	for {
		_, length, err := l.read(l.size)
		if err != nil {
			break
		}
		l.size += length
		l.open++
	}
	if err := l.keepDamaged(info.Size()); err != nil {
		return err
	}
	if err := l.file.Truncate(l.size); err != nil {
		return fmt.Errorf("cut the write-ahead log: %w", err)
	}
	return nil
}

// keepDamaged sets aside what follows the last record that can be read, unless it is the
// beginning of one that was being written: its sender never got an answer.
func (l *Log) keepDamaged(end int64) error {
	var head [header]byte
	if _, err := l.file.ReadAt(head[:], l.size); err != nil ||
		l.size+header+int64(binary.BigEndian.Uint32(head[:4])) > end {
		return nil //nolint:nilerr // it is shorter than a record says it is
	}
	rest := make([]byte, min(end-l.size, l.budget/asideShare))
	if _, err := l.file.ReadAt(rest, l.size); err != nil {
		return fmt.Errorf("read what is damaged of the write-ahead log: %w", err)
	}
	_, err := l.SetAside(fmt.Sprintf("damaged-%08x", crc32.ChecksumIEEE(rest)), rest)
	return err
}

// read returns the record at an offset and its length on disk.
func (l *Log) read(at int64) ([]byte, int64, error) {
	var head [header]byte
	if _, err := l.file.ReadAt(head[:], at); err != nil {
		return nil, 0, err
	}
	length := int64(binary.BigEndian.Uint32(head[:4]))
	if length > l.budget {
		return nil, 0, errors.New("a record is longer than the log")
	}
	record := make([]byte, length)
	if _, err := l.file.ReadAt(record, at+header); err != nil {
		return nil, 0, err
	}
	if crc32.ChecksumIEEE(record) != binary.BigEndian.Uint32(head[4:]) {
		return nil, 0, errors.New("a record is damaged")
	}
	return record, header + length, nil
}

// Append writes a record and returns when it is on disk.
func (l *Log) Append(record []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size+header+int64(len(record)) > l.budget {
		return ErrFull
	}
	buf := make([]byte, header, header+len(record))
	binary.BigEndian.PutUint32(buf[:4], uint32(len(record)))
	binary.BigEndian.PutUint32(buf[4:], crc32.ChecksumIEEE(record))
	buf = append(buf, record...)
	if _, err := l.file.WriteAt(buf, l.size); err != nil {
		return fmt.Errorf("append to the write-ahead log: %w", err)
	}
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("sync the write-ahead log: %w", err)
	}
	l.size += int64(len(buf))
	l.open++
	return nil
}

// Len counts the records that are not done.
func (l *Log) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

// First returns the oldest record that is not done; io.EOF means none.
func (l *Log) First() ([]byte, error) { return l.At(0) }

// At returns an open record without those before it: 0 is the oldest. io.EOF means
// that there is none.
func (l *Log) At(n int) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < 0 || n >= l.open {
		return nil, io.EOF
	}
	at := l.done
	for ; n > 0; n-- {
		_, length, err := l.read(at)
		if err != nil {
			return nil, fmt.Errorf("read the write-ahead log at %d: %w", at, err)
		}
		at += length
	}
	record, _, err := l.read(at)
	if err != nil {
		return nil, fmt.Errorf("read the write-ahead log at %d: %w", at, err)
	}
	return record, nil
}

// Done marks the oldest record as handled. When none is left the file starts over.
func (l *Log) Done() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == 0 {
		return nil
	}
	_, length, err := l.read(l.done)
	if err != nil {
		return fmt.Errorf("read the write-ahead log at %d: %w", l.done, err)
	}
	l.done += length
	l.open--
	if l.open == 0 {
		// The mark goes back first: a crash in between repeats records, the other
		// order would hide new ones behind an old mark.
		if err := l.setMark(0); err != nil {
			return err
		}
		l.done, l.size = 0, 0
		if err := l.file.Truncate(0); err != nil {
			return fmt.Errorf("cut the write-ahead log: %w", err)
		}
		return nil
	}
	return l.setMark(l.done)
}

func (l *Log) setMark(at int64) error {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], uint64(at))
	if _, err := l.mark.WriteAt(raw[:], 0); err != nil {
		return fmt.Errorf("mark the write-ahead log: %w", err)
	}
	return nil
}

// Close closes the files; what is open stays on disk.
func (l *Log) Close() error { return errors.Join(l.file.Close(), l.mark.Close()) }
