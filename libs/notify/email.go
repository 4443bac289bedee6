package notify

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/fault"
)

type emailConfig struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	Username string `json:"username"`
	Password string `json:"password"`
	From     string `json:"from"`
	HTML     bool   `json:"html"`
	Insecure bool   `json:"insecure_skip_verify"`
}

// email sends by SMTP: TLS from the beginning on port 465, else STARTTLS where the server has it. A password is never
// sent in the clear but to this machine.
var email = Kind{"email", func(config []byte, env Env) (Service, error) {
	c, err := decode[emailConfig](config)
	if err != nil {
		return nil, err
	}
	if err := need(map[string]string{"host": c.Host, "from": c.From}); err != nil {
		return nil, err
	}
	if _, err := mail.ParseAddress(c.From); err != nil {
		return nil, fmt.Errorf("from %q is no address: %w", c.From, err)
	}
	if c.Port == 0 {
		c.Port = 587
	}
	return emailService{c, env}, nil
}}

type emailService struct {
	emailConfig
	Env
}

// Send sends one mail.
func (s emailService) Send(ctx context.Context, m Message) error {
	to, err := mail.ParseAddress(m.Recipient)
	if err != nil {
		return fault.Poisonf("%q is no address of mail", m.Recipient)
	}
	from, err := mail.ParseAddress(s.From)
	if err != nil {
		return fault.AsPoison(err)
	}
	dial := s.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	conn, err := dial(ctx, "tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // what was sent was confirmed
	if at, is := ctx.Deadline(); is {
		if err := conn.SetDeadline(at); err != nil {
			return err
		}
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	settings := &tls.Config{ServerName: s.Host, InsecureSkipVerify: s.Insecure} //nolint:gosec // the operator's choice
	if s.Port == 465 {
		conn = tls.Client(conn, settings)
	}
	return classedSMTP(s.deliver(conn, settings, from, to, s.compose(m, from, to)))
}

func (s emailService) deliver(conn net.Conn, settings *tls.Config, from, to *mail.Address, text []byte) error {
	c, err := smtp.NewClient(conn, s.Host)
	if err != nil {
		return err
	}
	if has, _ := c.Extension("STARTTLS"); has && s.Port != 465 {
		if err := c.StartTLS(settings); err != nil {
			return err
		}
	}
	if s.Username != "" {
		if err := c.Auth(smtp.PlainAuth("", s.Username, s.Password, s.Host)); err != nil {
			return err
		}
	}
	if err := errors.Join(c.Mail(from.Address), c.Rcpt(to.Address)); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_ = c.Quit() // the mail is the server's by now
	return nil
}

// compose writes the mail. Its body is base64, so that nothing in it can be taken for a header or an end.
func (s emailService) compose(m Message, from, to *mail.Address) []byte {
	kind, body := "text/plain", m.text("email", "body")
	if body == "" {
		body = m.Text
	}
	if s.HTML {
		kind = "text/html"
	}
	subject := strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, m.text("email", "subject"))
	var out strings.Builder
	for _, h := range [][2]string{
		{"From", from.String()}, {"To", to.String()}, {"Subject", mime.QEncoding.Encode("utf-8", subject)},
		{"Message-ID", "<" + m.ID + "@argosy>"}, {"MIME-Version", "1.0"},
		{"Content-Type", kind + "; charset=utf-8"}, {"Content-Transfer-Encoding", "base64"},
	} {
		out.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	out.WriteString("\r\n")
	for text := base64.StdEncoding.EncodeToString([]byte(body)); text != ""; {
		n := min(76, len(text))
		out.WriteString(text[:n] + "\r\n")
		text = text[n:]
	}
	return []byte(out.String())
}

func classedSMTP(err error) error {
	if no, is := errors.AsType[*textproto.Error](err); is && no.Code >= 500 {
		return fault.AsPoison(err)
	}
	return err
}
