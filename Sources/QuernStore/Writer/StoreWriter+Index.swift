// SPDX-License-Identifier: Apache-2.0
import Synchronization

extension StoreWriter {
    /// Moves full blocks to the index. Returns why some had to stay in memory.
    func flushIndex() -> StoreError? {
        shared.committed.withLock { committed -> StoreError? in
            var done = 0
            defer { committed.state.fullBlocks.removeFirst(done) }
            for block in committed.state.fullBlocks {
                do throws(FileError) { try committed.index.append(block) } catch {
                    return StoreError("cannot write the index", error)
                }
                done += 1
            }
            return nil
        }
    }
}
