// SPDX-License-Identifier: Apache-2.0

/// Applies the tail to the state and writes the blocks that fill up to the index (S6).
///
/// What counts was decided before. A large tail is decoded by one thread, applied by this one and indexed by a third, a
/// few frames apart; a small one by this thread alone, with the same result.
struct TailReplay {
    let tails: [StoreLoader.Tail]
    let files: StoreFiles
    let configuration: MemoStore.Configuration

    /// Returns how far the last segment's frames say that it was on disk.
    func run(_ state: inout StoreState, _ index: inout MemoIndex) throws(StoreError) -> UInt64 {
        let bytes = tails.reduce(0) { $0 + Int($1.scan.end.offset - $1.start.offset) }
        if bytes >= configuration.parallelReplayBytes, SystemThread.processorCount > 1 {
            return try runParallel(&state, &index)
        }
        var frames = TailFrames(tails)
        var output = BlockOutput(index: index, writer: IndexWriter(files: files, configuration: configuration))
        var durable: UInt64 = 0
        while let frame = try frames.next() {
            try apply(frame, &state, &durable)
            try output.append(Self.takeBlocks(&state))
        }
        (index, state.fullBlocks) = (output.index, output.waiting)
        return durable
    }

    private func runParallel(_ state: inout StoreState, _ index: inout MemoIndex) throws(StoreError) -> UInt64 {
        let frames = Channel<Result<[TailFrames.Frame], StoreError>>(capacity: 4)
        let blocks = Channel<[OutcomeBlock]>(capacity: 4)
        let indexed = Handoff<Result<BlockOutput, StoreError>>()
        let tails = tails
        try SystemThread.start { Self.decode(tails, into: frames) }
        let output = BlockOutput(index: index, writer: IndexWriter(files: files, configuration: configuration))
        do throws(StoreError) {
            try SystemThread.start { indexed.give(Self.write(blocks, to: output)) }
        } catch {
            frames.end()
            throw error
        }
        let applied = applyAll(frames, &state, blocks)
        frames.end()
        blocks.end()
        // Nothing may go on writing when this returns, whatever went wrong.
        let written = indexed.take()
        let durable = try applied.get()
        let result = try written.get()
        (index, state.fullBlocks) = (result.index, result.waiting)
        return durable
    }

    private func applyAll(
        _ frames: Channel<Result<[TailFrames.Frame], StoreError>>, _ state: inout StoreState,
        _ blocks: Channel<[OutcomeBlock]>
    ) -> Result<UInt64, StoreError> {
        var durable: UInt64 = 0
        while let group = frames.receive() {
            do throws(StoreError) {
                for frame in try group.get() { try apply(frame, &state, &durable) }
            } catch { return .failure(error) }
            // The index failed: it says why.
            guard blocks.send(Self.takeBlocks(&state)) else { break }
        }
        return .success(durable)
    }

    private func apply(
        _ frame: TailFrames.Frame, _ state: inout StoreState, _ durable: inout UInt64
    ) throws(StoreError) {
        try tails[frame.tail].apply(frame, to: &state, openLimit: configuration.openBlockBytes)
        if frame.tail == tails.count - 1 { durable = max(durable, frame.durableUpTo) }
    }

    private static func takeBlocks(_ state: inout StoreState) -> [OutcomeBlock] {
        defer { state.fullBlocks = [] }
        return state.fullBlocks
    }

    private static func decode(
        _ tails: [StoreLoader.Tail], into channel: Channel<Result<[TailFrames.Frame], StoreError>>
    ) {
        var frames = TailFrames(tails)
        do throws(StoreError) {
            while true {
                let group = try frames.nextGroup()
                if group.isEmpty || !channel.send(.success(group)) { break }
            }
        } catch { _ = channel.send(.failure(error)) }
        channel.end()
    }

    private static func write(
        _ channel: Channel<[OutcomeBlock]>, to start: BlockOutput
    ) -> Result<BlockOutput, StoreError> {
        var output = start
        while let blocks = channel.receive() {
            do throws(StoreError) { try output.append(blocks) } catch {
                channel.end()
                return .failure(error)
            }
        }
        return .success(output)
    }
}

/// Where replayed blocks go: to the index, and from the first on that found no space into memory, as when the store is
/// in use. So a store can be opened on a full disk.
private struct BlockOutput: Sendable {
    var index: MemoIndex
    var writer: IndexWriter
    var waiting: [OutcomeBlock] = []

    mutating func append(_ blocks: [OutcomeBlock]) throws(StoreError) {
        waiting += blocks
        if waiting.count > blocks.count { return }
        do throws(FileError) { try writer.append(&waiting, to: &index) } catch {
            guard error.isNoSpace else { throw StoreError("cannot write the index", error) }
        }
    }
}

extension StoreLoader.Tail {
    /// Applies the frames that the scan found good: what a reader does to its state.
    ///
    /// - Parameter takeBlocks: called after each frame, to move the blocks that are full out of the state.
    func replay(
        into state: inout StoreState, openLimit: Int, takeBlocks: (inout StoreState) throws(StoreError) -> Void
    ) throws(StoreError) {
        var frames = TailFrames([self])
        while let frame = try frames.next() {
            try apply(frame, to: &state, openLimit: openLimit)
            try takeBlocks(&state)
        }
    }

    fileprivate func apply(
        _ frame: TailFrames.Frame, to state: inout StoreState, openLimit: Int
    ) throws(StoreError) {
        do throws(DecodingFailure) {
            var changes = ChangeCollector()
            try frame.body.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in
                try state.apply(bytes, segment: number, frameOffset: UInt64(frame.offset), changes: &changes)
            }
        } catch { throw StoreError(.damaged, error.reason, file: path, offset: frame.offset) }
        if frame.isCommit, let misfit = state.finishBatch(openLimit: openLimit) {
            throw StoreError(.damaged, "\(misfit) ended before its children", file: path, offset: frame.offset)
        }
    }
}
