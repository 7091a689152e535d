// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {Facilitator} from "../Facilitator.sol";
import {Proxy} from "./Hostile.sol";
import {Test, Vm} from "./Test.sol";
import {TestUSDC} from "./TestUSDC.sol";

/// The facilitator, a token behind a proxy as USDC is, and payers whose keys are known.
abstract contract Fixture is Test {
    uint256 internal constant ITEM_SIZE = 134;
    uint256 internal constant NOW = 1_800_000_000;
    bytes32 internal constant FAILED = keccak256("Failed(address,bytes32,bytes32)");

    /// An authorization before it is signed; `to` is the batch's payee.
    struct Item {
        uint256 key;
        uint64 value;
        uint40 validAfter;
        uint40 validBefore;
        bytes32 nonce;
    }

    Facilitator internal facilitator;
    TestUSDC internal token;
    address internal payee = address(0xbeef);

    function setUp() public virtual {
        facilitator = new Facilitator();
        token = TestUSDC(address(new Proxy(address(new TestUSDC()))));
        vm.warp(NOW);
    }

    /// The key of payer `index`, who has money from the beginning on.
    function payer(uint256 index) internal returns (uint256 key) {
        key = 0x402000 + index;
        address owner = vm.addr(key);
        if (token.balanceOf(owner) == 0) token.mint(owner, 1_000_000);
    }

    /// A good item: `value` from payer `index`, with a nonce made of both.
    function good(uint256 index, uint64 value) internal returns (Item memory) {
        return Item(payer(index), value, 0, uint40(NOW + 60), keccak256(abi.encode(index, value)));
    }

    function digest(Item memory item, address to) internal view returns (bytes32) {
        bytes32 structHash = keccak256(
            abi.encode(
                token.TRANSFER_WITH_AUTHORIZATION_TYPEHASH(),
                vm.addr(item.key),
                to,
                uint256(item.value),
                uint256(item.validAfter),
                uint256(item.validBefore),
                item.nonce
            )
        );
        return keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), structHash));
    }

    /// The packed item, signed by `signer` for the payee.
    function packBy(Item memory item, uint256 signer) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signer, digest(item, payee));
        return packWith(item, r, bytes32(uint256(s) | (uint256(v) - 27) << 255));
    }

    function packWith(Item memory item, bytes32 r, bytes32 vs) internal pure returns (bytes memory) {
        return abi.encodePacked(
            vm.addr(item.key), item.value, item.validAfter, item.validBefore, item.nonce, r, vs
        );
    }

    function pack(Item memory item) internal view returns (bytes memory) {
        return packBy(item, item.key);
    }

    function settle(bytes memory items) internal returns (uint256 done, uint256 failed) {
        return facilitator.settle(address(token), payee, items);
    }

    function used(Item memory item) internal view returns (bool) {
        return token.authorizationState(vm.addr(item.key), item.nonce);
    }

    /// The Failed logs among those recorded, all by the facilitator.
    function failedLogs() internal returns (Vm.Log[] memory found) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        uint256 count;
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].topics[0] == FAILED) logs[count++] = logs[i];
        }
        found = new Vm.Log[](count);
        for (uint256 i = 0; i < count; i++) {
            found[i] = logs[i];
            expect(logs[i].emitter == address(facilitator), "another contract's log");
        }
    }

    function expectFailedLog(Vm.Log memory log, Item memory item, bytes32 reason) internal pure {
        equal(log.topics[1], bytes32(uint256(uint160(vm.addr(item.key)))), "payer of the log");
        equal(log.topics[2], item.nonce, "nonce of the log");
        equal(log.data.length, 32, "size of the reason");
        equal(abi.decode(log.data, (bytes32)), reason, "reason");
    }
}
