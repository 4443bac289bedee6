package core

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// shapes are what random walks begin with: commands of transcripts.
var shapes = []string{
	"rollout 4", "routed 4",
	"rollout 4 setWeight 20; pause 10s; setWeight 60; analysis rate; setWeight 100",
	"routed 4 setWeight 20; pause 10s; setWeight 60; analysis rate",
	"routed 4 setCanaryScale 3; setWeight 10; pause; setWeight 50; pause 1m",
	"routed 4 setWeight 25; pause; setWeight 75; pause 10s\noption pingPong",
	"routed 4 setWeight 25; pause; setWeight 75; pause 10s\noption dynamicStableScale\noption rollbackWindow 2",
	"routed 4 setWeight 20; setHeaderRoute beta; pause 10s\noption managedRoutes beta",
	"bluegreen 4\noption pre rate\noption post rate\noption autoPromotionSeconds 10",
	"bluegreen 4\noption previewReplicaCount 1\noption autoPromotionEnabled false\noption rollbackWindow 2",
	"rollout 4 setWeight 50; pause 10s\noption metadata canary stable\noption antiAffinity",
}

// shape begins with one of shapes.
func (s *sim) shape(text string) {
	for line := range strings.Lines(text) {
		s.command(strings.TrimSpace(line))
	}
}

// TestRestIsRest: once nothing is to be done, nothing is to be done; and no fact was published twice.
func TestRestIsRest(t *testing.T) {
	walk(t, func(s *sim, what string) {
		s.settle(true)
		for _, a := range Decide(s.w) {
			if _, idle := a.(WakeAt); !idle {
				s.t.Fatalf("after %s: still wants %s", what, a.Key())
			}
		}
		for id, n := range s.facts {
			if n > 1 {
				s.t.Fatalf("after %s: fact %s was published %d times", what, id, n)
			}
		}
	})
}

// TestAbortEndsAtZero: whatever happened before, an abort that can be heard takes all traffic from the canary.
func TestAbortEndsAtZero(t *testing.T) {
	walk(t, func(s *sim, what string) {
		if s.w.Rollout.Status.StableRS == s.w.Rollout.Status.CurrentPodHash {
			return
		}
		twin := s.twin()
		twin.pass() // A template that nobody saw yet would take the abort away.
		twin.w.Rollout.Status.Abort = true
		twin.w.Rollout.Status.PromoteFull = false
		twin.w.Rollout.Spec.Paused = false
		twin.settle(true)
		st := twin.w.Rollout.Status
		if st.StableRS == st.CurrentPodHash {
			return
		}
		for _, r := range twin.w.Routes {
			if w := r.Observed().CanaryWeight; w != 0 {
				s.t.Fatalf("abort after %s left %d %% at the canary", what, w)
			}
		}
		if st.Phase != v1alpha1.RolloutDegraded {
			s.t.Fatalf("abort after %s: %s %q", what, st.Phase, st.Message)
		}
	})
}

// TestTrafficOnlyToAvailablePods: at every pass, whoever is sent traffic has available pods to answer.
func TestTrafficOnlyToAvailablePods(t *testing.T) {
	walk(t, func(s *sim, what string) {
		for range 60 {
			acted := s.pass()
			s.answerable(what)
			if changed := s.follow(""); !acted && !changed {
				return
			}
			s.answerable(what)
		}
	})
}

// answerable fails when a service that is sent traffic selects nobody who can answer.
func (s *sim) answerable(what string) {
	s.t.Helper()
	s.activeAnswers(what)
	if len(s.w.Routes) == 0 || s.w.Rollout.Status.StableRS == "" {
		return
	}
	for service, weight := range s.w.Routes[0].(*simRoute).shares {
		hash := s.w.Services[service].Spec.Selector[HashLabel]
		if weight == 0 || hash == "" {
			continue
		}
		if rs := findByHash(s.w.ReplicaSets, hash); rs == nil || availableReplicas(rs) == 0 {
			s.t.Fatalf("after %s: %s gets %d %% and has no pod\n%s", what, service, weight, s.show())
		}
	}
}

// activeAnswers fails when the active service of blue-green selects fewer pods than it did a moment ago could answer.
func (s *sim) activeAnswers(what string) {
	s.t.Helper()
	svc := s.w.Services["active"]
	if svc == nil || svc.Spec.Selector[HashLabel] == "" || s.w.Rollout.Status.StableRS == "" {
		return
	}
	rs := findByHash(s.w.ReplicaSets, svc.Spec.Selector[HashLabel])
	if rs == nil || availableReplicas(rs) == 0 {
		s.t.Fatalf("after %s: the active service has no pod\n%s", what, s.show())
	}
}

// TestStablePodsCarryTheirShare: with pods that scale with the traffic, whoever gets a share has pods for it, unless
// an abort or a change of size asks for more than is there.
func TestStablePodsCarryTheirShare(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprintf("%d", seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 3))
			s := newSim(t)
			s.shape("routed 4 setWeight 25; pause 10s; setWeight 50; pause; setWeight 75; pause 10s\n" +
				"option dynamicStableScale")
			s.settle(true)
			for i := range 25 {
				n := *s.w.Rollout.Spec.Replicas
				what := s.something(rng, i)
				if strings.HasPrefix(what, "scale") {
					s.w.Rollout.Spec.Replicas = &n
				}
				for range 60 {
					acted := s.pass()
					route := s.w.Routes[0].(*simRoute)
					for service, share := range route.shares {
						rs := findByHash(s.w.ReplicaSets, s.w.Services[service].Spec.Selector[HashLabel])
						if rs == nil || availableReplicas(rs)*100 < share*n-100 {
							s.t.Fatalf(
								"after %s: %s gets %d %% of %d pods' traffic\n%s",
								what,
								service,
								share,
								n,
								s.show(),
							)
						}
					}
					if changed := s.follow(""); !acted && !changed {
						break
					}
				}
			}
		})
	}
}

// TestCrashAnywhereEndsTheSame: a process that dies after any action, again and again, gets to where one that lives
// gets.
func TestCrashAnywhereEndsTheSame(t *testing.T) {
	for seed := range uint64(66) {
		shape := shapes[seed%uint64(len(shapes))]
		t.Run(fmt.Sprintf("%d", seed), func(t *testing.T) {
			t.Parallel()
			alive, dying := newSim(t), newSim(t)
			crash := rand.New(rand.NewPCG(seed, 11))
			dying.lives = func(int) bool { return crash.IntN(4) > 0 }
			one, other := rand.New(rand.NewPCG(seed, 7)), rand.New(rand.NewPCG(seed, 7))
			alive.shape(shape)
			dying.shape(shape)
			alive.settle(true)
			dying.settle(true)
			for i := range 25 {
				what := alive.something(one, i)
				dying.something(other, i)
				alive.settle(true)
				dying.settle(true)
				if a, d := alive.show(), dying.show(); a != d {
					t.Fatalf("after %s:\nalive %s\ndying %s", what, a, d)
				}
			}
		})
	}
}

// walk does random things to random rollouts and calls check after each.
func walk(t *testing.T, check func(s *sim, what string)) {
	for seed := range uint64(110) {
		shape := shapes[seed%uint64(len(shapes))]
		t.Run(fmt.Sprintf("%d", seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 7))
			s := newSim(t)
			s.shape(shape)
			s.settle(true)
			for i := range 25 {
				what := s.something(rng, i)
				check(s, what)
				s.settle(true)
			}
		})
	}
}

func (s *sim) something(rng *rand.Rand, i int) string {
	ro := s.w.Rollout.DeepCopy()
	s.w.Rollout = ro
	s.w.Now = s.w.Now.Add(time.Second)
	switch rng.IntN(10) {
	case 0, 1:
		tag := fmt.Sprintf("v%d", rng.IntN(4))
		s.image(tag)
		return "image " + tag
	case 2:
		ro.Status.Abort = true
		return "abort"
	case 3:
		ro.Status.Abort = false
		return "retry"
	case 4:
		ro.Status.PauseConditions = nil
		return "promote"
	case 5:
		ro.Status.PromoteFull = true
		return "promote in full"
	case 6:
		ro.Spec.Replicas = new(int32(2 + rng.IntN(6)))
		return fmt.Sprintf("scale to %d", *ro.Spec.Replicas)
	case 7:
		phases := []v1alpha1.AnalysisPhase{
			v1alpha1.AnalysisSuccessful, v1alpha1.AnalysisFailed, v1alpha1.AnalysisInconclusive,
		}
		phase := phases[rng.IntN(len(phases))]
		s.finishRuns(phase)
		return "verdict " + string(phase)
	case 8:
		ro.Spec.Paused = i%2 == 0 && !ro.Spec.Paused
		return fmt.Sprintf("paused=%v", ro.Spec.Paused)
	default:
		s.w.Now = s.w.Now.Add(time.Duration(rng.IntN(90)) * time.Second)
		return "time"
	}
}

// TestNeverAboveSurgeNorBelowAvailability: without a router, whatever a canary is told and in whatever order its pods
// come, there are never more pods than maxSurge allows nor fewer available ones than maxUnavailable does.
func TestNeverAboveSurgeNorBelowAvailability(t *testing.T) {
	for seed := range uint64(24) {
		t.Run(fmt.Sprintf("%d", seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 17))
			s := newSim(t)
			n := int32(1 + rng.IntN(12))
			s.make(n, "setWeight 20; pause 10s; setWeight 50; pause; setWeight 90; pause 5s", false)
			c := s.w.Rollout.Spec.Strategy.Canary
			c.MaxSurge, c.MaxUnavailable = new(intstr.FromInt(rng.IntN(4))), new(intstr.FromInt(rng.IntN(4)))
			if c.MaxSurge.IntVal+c.MaxUnavailable.IntVal == 0 {
				c.MaxSurge.IntVal = 1
			}
			l := limitsOf(c, n)
			s.settle(true)
			for i := range 20 {
				what := s.something(rng, i)
				// A change of size moves the limits themselves.
				s.w.Rollout.Spec.Replicas = &n
				for range 40 {
					s.pass()
					s.within(n, l, what)
					// Pods of one ReplicaSet at a time become what was asked for.
					rs := s.w.ReplicaSets[rng.IntN(len(s.w.ReplicaSets))]
					s.follow(rs.Name)
					s.within(n, l, what)
				}
				s.settle(true)
			}
		})
	}
}

// within fails when there are too many pods, or too few that are available.
func (s *sim) within(n int32, l limits, what string) {
	s.t.Helper()
	var available int32
	for _, rs := range s.w.ReplicaSets {
		available += availableReplicas(rs)
	}
	if sum := total(s.w.ReplicaSets); sum > n+l.surge || available < n-l.unavailable {
		s.t.Fatalf("after %s: %d of %d pods (surge %d), %d available (unavailable %d)\n%s", what, sum, n, l.surge,
			available, l.unavailable, s.show())
	}
}
