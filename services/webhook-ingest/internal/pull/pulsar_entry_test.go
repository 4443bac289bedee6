package pull

import (
	"bytes"
	"compress/zlib"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

func all(int) bool { return true }

func TestEntriesAreUnpacked(t *testing.T) {
	long := strings.Repeat("text ", 100)
	packed := func(kind uint64) []byte {
		switch kind {
		case 1:
			out := make([]byte, lz4.CompressBlockBound(len(long)))
			n, err := lz4.CompressBlock([]byte(long), out, nil)
			if err != nil {
				t.Fatal(err)
			}
			return out[:n]
		case 2:
			var out bytes.Buffer
			w := zlib.NewWriter(&out)
			_, _ = w.Write([]byte(long))
			_ = w.Close()
			return out.Bytes()
		case 3:
			e, err := zstd.NewWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			return e.EncodeAll([]byte(long), nil)
		default:
			return s2.EncodeSnappy(nil, []byte(long))
		}
	}
	for kind := uint64(1); kind <= 4; kind++ {
		for size, good := range map[int]bool{len(long): true, len(long) - 1: false, len(long) + 1: false, pulsarMost + 1: false} {
			e, err := parseEntry(pulsarStored(joined(number(8, kind), number(9, uint64(size))), packed(kind)))
			if err != nil {
				t.Fatal(err)
			}
			got, err := e.messages(all)
			if good && (err != nil || len(got) != 1 || string(got[0].body) != long) || !good && err == nil {
				t.Errorf("compression %d, size %d: %v, %v", kind, size, got, err)
			}
		}
		if _, err := unpack(kind, 5, []byte("not packed")); err == nil {
			t.Errorf("compression %d of what is none", kind)
		}
	}
	if _, err := unpack(9, 5, []byte("12345")); err == nil {
		t.Error("an unknown compression")
	}
}

func TestBadEntries(t *testing.T) {
	good := pulsarStored(number(11, 2), batched("a", "b"))
	broken := bytes.Clone(good)
	broken[len(broken)-1]++
	for name, data := range map[string][]byte{
		"nothing": {}, "short": good[:9], "checksum": broken, "encrypted": pulsarStored(inner(13, text(1, "k")), []byte("x")),
		"head": pulsarStored(nil, nil)[6:12], "no protobuf": pulsarStored([]byte{0xff}, nil), "too much added": {0x0e, 0x02, 0xff, 0, 0, 0, 1},
	} {
		if e, err := parseEntry(data); err == nil {
			t.Errorf("%s: %v", name, e)
		}
	}
	for name, data := range map[string][]byte{
		"half a batch": pulsarStored(number(11, 3), batched("a", "b")), "a batch of nothing": pulsarStored(number(11, 1), nil),
		"a long message": pulsarStored(number(11, 1), joined([]byte{0, 0, 0, 2}, number(3, 9), []byte("x"))),
		"a head of one":  pulsarStored(number(11, 1), []byte{0, 0, 0, 1, 0xff}),
	} {
		e, err := parseEntry(data)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.messages(all); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestPartsOfEntries(t *testing.T) {
	e, err := parseEntry(append([]byte{0x0e, 0x02, 0, 0, 0, 1, 9}, pulsarStored(number(11, 3), batched("a", "b", "c"))...))
	if err != nil || e.count() != 3 {
		t.Fatalf("%v, %v", e, err)
	}
	d := pulsarDelivery{acked: []wireValue{{n: 0b101}}} // the second was acknowledged before
	got, err := e.messages(d.wanted)
	if err != nil || len(got) != 2 || string(got[1].body) != "c" || got[1].batch != 2 || got[1].key != "key2" {
		t.Errorf("%v, %v", got, err)
	}
	mark, err := parseEntry(pulsarStored(number(20, 1), []byte("x")))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := mark.messages(all); err != nil || len(got) != 0 {
		t.Errorf("a mark: %v, %v", got, err)
	}
}

func TestChunksBecomeOneMessage(t *testing.T) {
	chunk := func(id string, n uint64, body string) pulsarEntry {
		t.Helper()
		e, err := parseEntry(pulsarStored(joined(text(26, id), number(27, 3), number(29, n)), []byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	chunks := pulsarChunks{}
	add := func(at uint64, e pulsarEntry) (string, int, bool) {
		whole, parts, done := chunks.add(pulsarPlace{1, at}, e)
		return string(whole.body), len(parts), done
	}
	if _, _, done := add(1, chunk("a", 0, "one ")); done {
		t.Error("one of three")
	}
	if _, _, done := add(2, chunk("b", 1, "lost")); done { // its beginning went to somebody else
		t.Error("without a beginning")
	}
	add(3, chunk("a", 1, "two "))
	if body, parts, done := add(4, chunk("a", 2, "three")); !done || body != "one two three" || parts != 3 {
		t.Errorf("%q of %d parts, %v", body, parts, done)
	}
	for i := range uint64(2 * pulsarChunkings) {
		add(10+i, chunk(strings.Repeat("x", int(i)+1), 0, "begun"))
	}
	if len(chunks) > pulsarChunkings {
		t.Errorf("%d messages wait for their ends", len(chunks))
	}
}

func FuzzPulsarEntry(f *testing.F) {
	f.Add(pulsarStored(number(11, 2), batched("a", "b")))
	f.Add(pulsarStored(joined(number(8, 4), number(9, 4)), s2.EncodeSnappy(nil, []byte("text"))))
	f.Add([]byte{0x0e, 0x02, 0, 0, 0, 1, 9})
	f.Fuzz(func(_ *testing.T, data []byte) {
		if e, err := parseEntry(data); err == nil {
			_, _ = e.messages(all)
		}
		_, _, _ = cut(data)
	})
}
