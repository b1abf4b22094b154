// SPDX-License-Identifier: Apache-2.0
import Synchronization

extension StoreWriter {
    /// Moves full blocks to the index. Returns why some had to stay in memory.
    ///
    /// Nothing is written under the lock: readers see the blocks in memory until index and memory change in one step.
    mutating func flushIndex() -> StoreError? {
        var (index, blocks) = shared.committed.withLock { ($0.index, $0.state.fullBlocks) }
        guard !blocks.isEmpty else { return nil }
        var failure: FileError?
        do throws(FileError) { try indexWriter.append(&blocks, to: &index) } catch { failure = error }
        shared.committed.withLock {
            $0.index = index
            $0.state.fullBlocks = blocks
        }
        return failure.map { StoreError("cannot write the index", $0) }
    }
}
