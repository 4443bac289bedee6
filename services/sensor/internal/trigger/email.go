package trigger

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/sensing/param"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Ports of mail servers, and which of them begins with TLS.
const (
	portSubmission = 587
	portSMTPS      = 465
)

// letters is the email trigger.
type letters struct {
	stateless
	world World
	roots *tls.Config // a test's; nil means the system's
}

func newEmail(w World) Adapter { return &letters{world: w} }

// Fire hands the letter to the server. Its Message-ID is made of the key, by which
// mailboxes drop the second of two.
func (x *letters) Fire(ctx context.Context, c Call) (Result, error) {
	t, err := param.Fill(c.Fill, c.Template.Email, c.Template.Email.Parameters)
	if err != nil {
		return Result{}, fault.Poisonf("email.%w", err)
	}
	from, to, err := addresses(t)
	if err != nil {
		return Result{}, fault.AsPoison(err)
	}
	password, err := x.world.Values.Value(ctx, c.Sensor.Namespace, t.SmtpPassword)
	if err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s, err := x.dial(ctx, t)
	if err != nil {
		return Result{}, err
	}
	defer func() { _ = s.Close() }()
	if t.Username != "" {
		if err := s.Auth(smtp.PlainAuth("", t.Username, password, t.Host)); err != nil {
			return Result{}, mailError("authenticate", err)
		}
	}
	text, err := letter(t, from, to, c.Key, x.world.Now())
	if err != nil {
		return Result{}, fault.AsPoison(err)
	}
	return Result{Summary: "the mail server has it"}, transmit(s, from, to, text)
}

func addresses(t *v1alpha1.EmailTrigger) (*mail.Address, []*mail.Address, error) {
	from, err := mail.ParseAddress(t.From)
	if err != nil {
		return nil, nil, fmt.Errorf("email.from %q: %w", t.From, err)
	}
	if len(t.To) == 0 {
		return nil, nil, errors.New("email.to: is empty")
	}
	var to []*mail.Address
	for _, text := range t.To {
		a, err := mail.ParseAddress(text)
		if err != nil {
			return nil, nil, fmt.Errorf("email.to %q: %w", text, err)
		}
		to = append(to, a)
	}
	return from, to, nil
}

// dial connects, and secures the connection where the server can: port 465 begins
// with TLS, others offer STARTTLS.
func (x *letters) dial(ctx context.Context, t *v1alpha1.EmailTrigger) (*smtp.Client, error) {
	port := t.Port
	if port == 0 {
		port = portSubmission
	}
	cfg := &tls.Config{ServerName: t.Host, MinVersion: tls.VersionTLS12}
	if x.roots != nil {
		cfg.RootCAs = x.roots.RootCAs
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(t.Host, strconv.FormatInt(port, 10)))
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if port == portSMTPS {
		conn = tls.Client(conn, cfg)
	}
	s, err := smtp.NewClient(conn, t.Host)
	if err != nil {
		_ = conn.Close()
		return nil, mailError("greet", err)
	}
	if ok, _ := s.Extension("STARTTLS"); ok && port != portSMTPS {
		if err := s.StartTLS(cfg); err != nil {
			_ = s.Close()
			return nil, mailError("secure the connection", err)
		}
	}
	return s, nil
}

// letter writes the message. Header values are encoded, so that no value of an event
// can add a header.
func letter(
	t *v1alpha1.EmailTrigger, from *mail.Address, to []*mail.Address, key string, now time.Time,
) ([]byte, error) {
	var b bytes.Buffer
	names := make([]string, len(to))
	for i, a := range to {
		names[i] = a.String()
	}
	domain := "argosy.invalid"
	if _, after, ok := strings.Cut(from.Address, "@"); ok {
		domain = after
	}
	for _, h := range [][2]string{
		{"From", from.String()}, {"To", strings.Join(names, ", ")},
		{"Subject", mime.QEncoding.Encode("utf-8", strings.NewReplacer("\r", " ", "\n", " ").Replace(t.Subject))},
		{"Date", now.Format(time.RFC1123Z)}, {"Message-ID", "<" + key + "@" + domain + ">"}, {"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	if _, err := w.Write([]byte(t.Body)); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func transmit(s *smtp.Client, from *mail.Address, to []*mail.Address, text []byte) error {
	if err := s.Mail(from.Address); err != nil {
		return mailError("send from "+from.Address, err)
	}
	for _, a := range to {
		if err := s.Rcpt(a.Address); err != nil {
			return mailError("send to "+a.Address, err)
		}
	}
	w, err := s.Data()
	if err != nil {
		return mailError("send", err)
	}
	if _, err := w.Write(text); err != nil {
		return mailError("send", err)
	}
	if err := w.Close(); err != nil {
		return mailError("send", err)
	}
	// The server has the letter; whether it says goodbye does not matter.
	_ = s.Quit()
	return nil
}

// mailError classes answers: 5xx is for good. Source: RFC 5321, section 4.2.1.
func mailError(action string, err error) error {
	if p, ok := errors.AsType[*textproto.Error](err); ok && p.Code >= 500 {
		err = fault.AsPoison(err)
	}
	return fmt.Errorf("email: %s: %w", action, err)
}
