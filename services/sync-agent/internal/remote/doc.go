// Package remote has Applications of other clusters seen to by agents there, over the bus alone: the side of the
// control cluster, which hands over and takes back, and that of the agent, which keeps copies.
package remote
