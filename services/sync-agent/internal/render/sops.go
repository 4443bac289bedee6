package render

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"
)

// Keys open files that were encrypted with SOPS for age.
type Keys struct {
	identities []age.Identity
	id         string // tells keys apart without telling them
}

// ParseKeys reads age identities, one on a line.
func ParseKeys(texts ...string) (Keys, error) {
	var k Keys
	sum := sha256.New()
	for _, text := range texts {
		found, err := age.ParseIdentities(strings.NewReader(text))
		if err != nil {
			return Keys{}, fmt.Errorf("age keys: %w", err)
		}
		k.identities = append(k.identities, found...)
		sum.Write([]byte(text + "\x00"))
	}
	if len(k.identities) > 0 {
		k.id = hex.EncodeToString(sum.Sum(nil))
	}
	return k, nil
}

// ID tells keys apart without telling them; "" is none.
func (k Keys) ID() string { return k.id }

// sealed is a value that SOPS encrypted.
var sealed = regexp.MustCompile(
	`^ENC\[AES256_GCM,data:([^,]*),iv:([^,]+),tag:([^,]+),type:(str|int|float|bool|bytes|time|comment)\]$`,
)

// looksSealed reports whether a file is one that SOPS encrypted.
func looksSealed(name string, text []byte) bool {
	ext := strings.ToLower(path.Ext(name))
	return slices.Contains([]string{".yaml", ".yml", ".json"}, ext) &&
		bytes.Contains(text, []byte("ENC[AES256_GCM,")) &&
		bytes.Contains(text, []byte("sops"))
}

var errNoKey = errors.New("none of the age keys of its project opens it; add the key to a Secret with the label " +
	"argosy.dev/secret-type: sops-age")

// open returns a file as it was before SOPS encrypted it. Values that it left as they are stay as they are written.
func (k Keys) open(name string, text []byte) ([]byte, error) {
	if len(k.identities) == 0 || !looksSealed(name, text) {
		return text, nil
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	o := opener{keys: k, sum: sha512.New()}
	for decoder := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = o.document(&doc)
		}
		if err == nil {
			err = encoder.Encode(&doc)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s: sops: %w", ErrSource, name, err)
		}
	}
	err := errors.Join(encoder.Close(), o.check())
	if err == nil && strings.EqualFold(path.Ext(name), ".json") {
		asJSON, jerr := sigsyaml.YAMLToJSON(out.Bytes())
		out, err = *bytes.NewBuffer(asJSON), jerr
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: sops: %w", ErrSource, name, err)
	}
	return out.Bytes(), nil
}

// opener opens the documents of one file.
type opener struct {
	keys     Keys
	key      []byte // of the values
	metadata sopsMetadata
	sum      io.Writer
	comments bool // which the sum is made of, too
	only     bool // the sum is made of what is encrypted alone
}

// sopsMetadata is what SOPS writes into a file, as far as age is concerned.
type sopsMetadata struct {
	Age []struct {
		Enc string `yaml:"enc"`
	} `yaml:"age"`
	KeyGroups    []any  `yaml:"key_groups"`
	LastModified string `yaml:"lastmodified"`
	MAC          string `yaml:"mac"`
	OnlyMAC      bool   `yaml:"mac_only_encrypted"`
}

// document opens the values of a document and takes what SOPS wrote out of it.
func (o *opener) document(doc *yaml.Node) error {
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil
	}
	top := doc.Content[0]
	for i := 0; i+1 < len(top.Content); i += 2 {
		if top.Content[i].Value != "sops" {
			continue
		}
		if err := top.Content[i+1].Decode(&o.metadata); err != nil {
			return err
		}
		top.Content = slices.Delete(top.Content, i, i+2)
		if err := o.unlock(); err != nil {
			return err
		}
		break
	}
	if o.key == nil {
		return nil
	}
	return o.walk(top, nil)
}

// unlock finds the key of the values.
func (o *opener) unlock() error {
	if len(o.metadata.KeyGroups) > 0 {
		return errors.New("groups of keys are not supported")
	}
	for _, a := range o.metadata.Age {
		r, err := age.Decrypt(armor.NewReader(strings.NewReader(a.Enc)), o.keys.identities...)
		if err != nil {
			continue // it is for somebody else
		}
		key, err := io.ReadAll(io.LimitReader(r, 33))
		if err != nil || len(key) != 32 {
			return errors.New("the key of its values is not of 32 bytes")
		}
		if o.key == nil && o.metadata.OnlyMAC {
			// So that the two kinds of sums never are the same.
			begin := sha256.Sum256([]byte("sops"))
			o.only = true
			_, err = o.sum.Write(begin[:])
		}
		o.key = key
		return err
	}
	return errNoKey
}

// walk opens values; a list has the path of what it is in. Source: SOPS, by which a value belongs to its path.
func (o *opener) walk(n *yaml.Node, at []string) error {
	o.comments = o.comments || n.HeadComment+n.LineComment+n.FootComment != ""
	n.HeadComment, n.LineComment, n.FootComment = "", "", ""
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			o.comments = o.comments || key.HeadComment+key.LineComment+key.FootComment != ""
			key.HeadComment, key.LineComment, key.FootComment = "", "", ""
			if err := o.walk(n.Content[i+1], append(slices.Clone(at), key.Value)); err != nil {
				return err
			}
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			if err := o.walk(item, at); err != nil {
				return err
			}
		}
	case yaml.ScalarNode:
		return o.value(n, at)
	case yaml.AliasNode:
		return errors.New("aliases are not supported")
	case yaml.DocumentNode:
	}
	return nil
}

// value opens one value.
func (o *opener) value(n *yaml.Node, at []string) error {
	if m := sealed.FindStringSubmatch(n.Value); m != nil {
		plain, err := o.decrypt(m, strings.Join(at, ":")+":")
		if err != nil {
			return fmt.Errorf("%s: %w", strings.Join(at, "."), err)
		}
		n.Value, n.Style, n.Tag = string(plain), yaml.DoubleQuotedStyle, "!!str"
		switch kind := m[4]; kind {
		case "int", "float":
			n.Style, n.Tag = 0, "!!"+kind
		case "bool":
			n.Style, n.Tag, n.Value = 0, "!!bool", strings.ToLower(n.Value)
		case "time":
			n.Style, n.Tag = 0, "!!timestamp"
		}
		_, err = o.sum.Write(plain)
		return err
	}
	if o.only {
		return nil
	}
	_, err := o.sum.Write([]byte(canonicalScalar(n)))
	return err
}

// canonicalScalar is how SOPS writes a value that it sums up.
func canonicalScalar(n *yaml.Node) string {
	var v any
	if n.Decode(&v) != nil {
		return n.Value
	}
	switch v := v.(type) {
	case bool:
		if v {
			return "True"
		}
		return "False"
	case int:
		return strconv.Itoa(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case time.Time:
		if text, err := v.MarshalText(); err == nil {
			return string(text)
		}
	case nil:
		return ""
	}
	return n.Value
}

// decrypt opens the parts of a value, which belongs to its path.
func (o *opener) decrypt(parts []string, belongs string) ([]byte, error) {
	var raw [3][]byte
	for i := range raw {
		var err error
		if raw[i], err = base64.StdEncoding.DecodeString(parts[i+1]); err != nil {
			return nil, err
		}
	}
	block, err := aes.NewCipher(o.key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCMWithNonceSize(block, len(raw[1]))
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, raw[1], append(raw[0], raw[2]...), []byte(belongs))
	if err != nil {
		return nil, errors.New("the value was changed or moved since it was encrypted")
	}
	return plain, nil
}

// check compares the sum of all values. Comments are part of it as SOPS reads them, so with comments it is not
// compared.
func (o *opener) check() error {
	m := sealed.FindStringSubmatch(o.metadata.MAC)
	if o.key == nil || o.comments || m == nil {
		return nil
	}
	want, err := o.decrypt(m, o.metadata.LastModified)
	if err != nil {
		return fmt.Errorf("mac: %w", err)
	}
	sum := o.sum.(interface{ Sum(b []byte) []byte }).Sum(nil)
	if !strings.EqualFold(hex.EncodeToString(sum), string(want)) {
		return errors.New("mac: values were added, taken away or changed since it was encrypted")
	}
	return nil
}
