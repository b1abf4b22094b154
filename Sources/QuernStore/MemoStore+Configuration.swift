// SPDX-License-Identifier: Apache-2.0

extension MemoStore {
    /// How a store is run. Nothing here changes the format, so that each opening may choose anew.
    public struct Configuration: Sendable {
        /// The level of commits that name none.
        public var durability: Durability = .synced
        /// A log segment is finished when it has this many bytes.
        public var logSegmentBytes = 64 << 20
        /// The log is written ahead with zeros up to the next multiple of this many bytes, so that a sync need not
        /// write the file's new length each time. 0 to write nothing ahead, 8 MiB at most. The zeros stay: each log
        /// segment takes up to this much more on disk than its frames do.
        public var logReserveBytes = 512 << 10
        /// An index segment is sealed when it has this many bytes.
        public var indexSegmentBytes = 128 << 20
        /// Bytes of memory that the ended children of all live parents may take before blocks are written early, half
        /// of them then. While a checkpoint is written it holds the blocks as they were: those that change meanwhile
        /// are there twice. Live tasks and parents are not in it: see <doc:Sizing>.
        public var openBlockBytes = 32 << 20
        /// Bytes of log between checkpoints, or as many as the last checkpoint has when it has more: what a restart has
        /// to read, but for what was committed while the last checkpoint was being written.
        public var checkpointBytes = 2 << 20
        /// Bytes of transactions that may wait for the writer before callers are held up: `append` suspends and
        /// `appendBlocking` blocks, first come, first served. As much as a batch, 8 MiB, is written beside it.
        public var queueBytes = 64 << 20
        /// Bytes of decoded log frames that stay in memory for the payloads of pending tasks.
        public var payloadCacheBytes = 4 << 20
        /// Bytes of disk that the store holds back, from its first checkpoint in the background or its second opening
        /// on, and gives back when it has filled its disk: so that trees can still be dropped, and what they took be
        /// reclaimed. Best more than a checkpoint takes. 0, or less, to hold back nothing; 64 MiB at most.
        public var reserveBytes = 512 << 10
        /// Bytes a second that compaction may read and write beside commits and walks; nil when it runs only when
        /// ``MemoStore/compact()`` asks for it. It looks for work after each checkpoint and after a drop.
        ///
        /// - Precondition: positive.
        public var compactionBytesPerSecond: Int?
        /// What the store drops by itself, after each checkpoint.
        public var retention: Retention?
        /// When nothing was written for so long, 64 bytes are appended, unsynced, that say that the last commit is on
        /// disk. Without them damage in that one commit cannot be told apart from a write that was torn. nil to leave
        /// them out.
        public var vouchDelay: Duration? = .milliseconds(20)

        /// Whether what live tasks need of old log segments is moved; tests that count segments do without.
        var relocates = true

        /// Starts the threads of checkpoints and of housekeeping; tests run them when it suits them.
        var startThread: @Sendable (@escaping @Sendable () -> Void) throws(StoreError) -> Void = {
            (body) throws(StoreError) in
            try SystemThread.start(body)
        }

        /// What a new store is told from others by; nil for a random number. All checksums and key hashes mix it in.
        var identity: StoreIdentity?

        /// Tails of at least this many bytes are replayed by several threads.
        var parallelReplayBytes = 256 << 10

        /// For tests, which want many blocks of little.
        var blockSizes = BlockSizes()

        /// The defaults: synced commits, no retention, compaction on demand alone.
        public init() {}
    }

    /// A retention policy with the clock that it looks at: the store has none of its own.
    public struct Retention: Sendable {
        /// What is kept.
        public var policy: RetentionPolicy
        /// The time to which ages refer. Called on a thread of the store's own.
        public var now: @Sendable () -> Timestamp

        /// Retention by a policy and a clock.
        public init(_ policy: RetentionPolicy, now: @escaping @Sendable () -> Timestamp) {
            self.policy = policy
            self.now = now
        }
    }
}
