// SPDX-License-Identifier: Apache-2.0
package import SystemPackage

/// Reads everything in a store and compares all of it with all the rest: checksums, file headers, the chain of frames,
/// the checkpoint, the log, each block of the index with its directory's entry, the counters with the rows, and what
/// live tasks name in old log segments.
///
/// It writes nothing, takes no lock and does not disturb a writer. Files are open from before the manifest was looked
/// at for the last time, and what a checkpoint speaks of does not change any more: so what is found damaged there is
/// damaged, whatever a writer does meanwhile. What may look like damage while it is written is read again by
/// ``OfflineStore/read(at:fileSystem:)``.
package struct StoreVerifier {
    package struct Options: Sendable {
        /// Leaves out the blocks of the index and the log before the checkpoint.
        package var isQuick = false
        /// Threads that read at a time.
        package var threads = SystemThread.processorCount

        package init(isQuick: Bool = false, threads: Int = SystemThread.processorCount) {
            self.isQuick = isQuick
            self.threads = threads
        }
    }

    /// How far a verification has come, in bytes.
    package struct Progress: Sendable {
        package var done: Int
        package var total: Int
    }

    private let context: VerifyContext
    private let options: Options

    /// Verifies a store. Blocking, on threads of its own. Memory: as ``OfflineStore``, and two bits an ended child and
    /// four bytes a block; a few MiB a thread.
    ///
    /// - Parameter progress: called on the calling thread, a few times a second.
    /// - Throws: as ``OfflineStore/read(at:fileSystem:)``: damage is no error but a finding.
    package static func verify(
        at directory: FilePath, fileSystem: any FileSystem = PosixFileSystem(), options: Options = Options(),
        progress: (Progress) -> Void = { _ in }
    ) throws(StoreError) -> StoreVerification {
        let store = try OfflineStore.read(at: directory, fileSystem: fileSystem)
        return StoreVerifier(context: VerifyContext(store), options: options).run(progress)
    }

    private func run(_ progress: (Progress) -> Void) -> StoreVerification {
        var spans = [[UInt32]](repeating: [], count: context.store.segments.count)
        if !options.isQuick {
            let segments = segments()
            let logs = LogSegmentCheck.all(context)
            perform(segments, logs, progress)
            spans = segments.map(\.spans)
        }
        var directories = DirectoryCheck(context, spans: spans)
        directories.run()
        if !options.isQuick {
            let live = LiveCheck(context)
            live.addMemory()
            // What is missing was told where it is missing.
            if !context.findings.contains(where: { $0.severity == .damage }) { live.run() }
        }
        GivenNumbersCheck.run(context)
        MirrorCheck.run(context)
        LeftoverCheck.run(context)
        let (rows, blocks) = context.totals
        return StoreVerification(
            findings: context.findings, bytes: context.done, children: rows, blocks: blocks,
            liveTasks: context.store.state.live.count, isQuick: options.isQuick)
    }

    private func segments() -> [IndexSegmentCheck] {
        context.store.segments.map { directory in
            let open = context.store.base?.open
            let isOpen = open.map { UInt64($0.number) == directory.file.number } ?? false
            return IndexSegmentCheck(directory, lastChecksum: isOpen ? open?.checksum : nil, context)
        }
    }

    private func perform(_ segments: [IndexSegmentCheck], _ logs: [LogSegmentCheck], _ progress: (Progress) -> Void) {
        var jobs: [ParallelJobs.Job] = []
        for segment in segments {
            for part in 0..<segment.partCount { jobs.append { segment.run(part: part) } }
        }
        for log in logs { jobs.append { log.run() } }
        let total = segments.reduce(0) { $0 + $1.bytes } + logs.reduce(0) { $0 + $1.bytes }
        ParallelJobs(jobs).run(threads: options.threads) {
            progress(Progress(done: context.done, total: max(total, context.done)))
        }
    }
}

/// What a verification found.
package struct StoreVerification: Sendable {
    /// The worst first.
    package var findings: [StoreFinding]
    /// Bytes of segments that were read.
    package var bytes: Int
    /// Ended children that were read, with those of dropped trees.
    package var children: UInt64
    /// The blocks that they were in.
    package var blocks: Int
    package var liveTasks: Int
    package var isQuick: Bool

    /// Whether something that was written is not there as it was.
    package var isDamaged: Bool { findings.contains { $0.severity >= .spared } }
}
