package rbac

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/golang-jwt/jwt/v5"
)

// issuer of all tokens. Source: Argo CD, util/session.
const issuer = "argocd"

const (
	minKey   = 16      // bytes of a signing key
	maxToken = 8 << 10 // bytes of a token that is looked at
)

// ErrToken is wrapped by every error about a token that does not count.
var ErrToken = errors.New("the token is not valid")

// Tokens issues and verifies the tokens of projects' roles.
type Tokens struct {
	key []byte
	now func() time.Time
}

// NewTokens takes the key that signs, server.secretkey of argocd-secret, and a clock.
func NewTokens(key []byte, now func() time.Time) (*Tokens, error) {
	if len(key) < minKey {
		return nil, fmt.Errorf("the signing key of tokens has %d bytes, it must have %d or more", len(key), minKey)
	}
	return &Tokens{key: key, now: now}, nil
}

// Token is what a verified token says.
type Token struct {
	Project, Role string
	v1alpha1.JWTToken
}

// Subject is whom the token stands for.
func (t Token) Subject() Subject { return Subject{Name: RoleSubject(t.Project, t.Role)} }

// Issue makes a token of a role. It counts once the record that is returned stands in the lists of the project. A
// lifetime of 0 has no end. The id must be new; it is what tells the tokens of one second apart.
func (t *Tokens) Issue(project, role, id string, lifetime time.Duration) (string, v1alpha1.JWTToken, error) {
	if _, _, ok := cutSubject(RoleSubject(project, role)); !ok || id == "" || lifetime < 0 {
		return "", v1alpha1.JWTToken{}, fmt.Errorf(
			"issue a token for role %q of project %q: project, role and id must be named, and the lifetime not negative",
			role, project,
		)
	}
	now := t.now().Truncate(time.Second)
	claims := jwt.RegisteredClaims{
		Issuer: issuer, Subject: RoleSubject(project, role), ID: id, IssuedAt: jwt.NewNumericDate(now),
		NotBefore: jwt.NewNumericDate(now),
	}
	record := v1alpha1.JWTToken{ID: id, IssuedAt: now.Unix()}
	if lifetime > 0 {
		claims.ExpiresAt = jwt.NewNumericDate(now.Add(lifetime))
		record.ExpiresAt = claims.ExpiresAt.Unix()
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(t.key)
	if err != nil {
		return "", record, fmt.Errorf("sign a token for role %s of project %s: %w", role, project, err)
	}
	return text, record, nil
}

// Verify reads a token: its signature, its issuer, its times and its subject. Whether the project still lists it is
// [Listed]'s to say.
func (t *Tokens) Verify(text string) (Token, error) {
	if len(text) > maxToken {
		return Token{}, fmt.Errorf("%w: it has more than %d bytes", ErrToken, maxToken)
	}
	var claims jwt.RegisteredClaims
	_, err := jwt.ParseWithClaims(
		text, &claims, func(*jwt.Token) (any, error) { return t.key, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithIssuer(issuer), jwt.WithTimeFunc(t.now),
		jwt.WithIssuedAt(),
	)
	if err != nil {
		return Token{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	project, role, ok := cutSubject(claims.Subject)
	if !ok {
		return Token{}, fmt.Errorf("%w: subject %q is no role of a project", ErrToken, brief(claims.Subject))
	}
	if claims.IssuedAt == nil {
		return Token{}, fmt.Errorf("%w: it does not say when it was issued", ErrToken)
	}
	out := Token{Project: project, Role: role, JWTToken: v1alpha1.JWTToken{
		ID: claims.ID, IssuedAt: claims.IssuedAt.Unix(),
	}}
	if claims.ExpiresAt != nil {
		out.ExpiresAt = claims.ExpiresAt.Unix()
	}
	return out, nil
}

// Listed is an error when a project does not list a token: its role is gone, or the token was taken back. The status
// counts, and the spec for what the status does not hold. Id and times must be the same: tokens of old
// versions have no id, and neither do their entries.
func Listed(spec v1alpha1.AppProjectSpec, status v1alpha1.AppProjectStatus, t Token) error {
	for _, role := range spec.Roles {
		if role.Name != t.Role {
			continue
		}
		listed := append(append([]v1alpha1.JWTToken{}, status.JwtTokensByRole[t.Role].Items...), role.JwtTokens...)
		if slices.Contains(listed, t.JWTToken) {
			return nil
		}
		return fmt.Errorf("%w: role %s of project %s does not list it any more", ErrToken, t.Role, t.Project)
	}
	return fmt.Errorf("%w: project %s has no role %s", ErrToken, t.Project, t.Role)
}
