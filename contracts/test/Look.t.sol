// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {Facilitator} from "../Facilitator.sol";
import {Fixture} from "./Fixture.sol";
import {AgreeingAccount, HostileToken} from "./Hostile.sol";

contract LookTest is Fixture {
    uint256 private constant HAS_CODE = 1 << 255;
    uint256 private constant UNKNOWN = 1 << 254;

    function look(address asset, bytes memory payers) private view returns (uint256[] memory) {
        return facilitator.look(asset, payers);
    }

    function test_balances_come_in_the_order_asked() public {
        token.mint(address(1), 11);
        token.mint(address(2), 22);
        uint256[] memory seen =
            look(address(token), abi.encodePacked(address(2), address(3), address(1)));
        equal(seen.length, 3, "length");
        equal(seen[0], 22, "the second's");
        equal(seen[1], 0, "the third's");
        equal(seen[2], 11, "the first's");
    }

    function test_nobody_is_looked_at() public view {
        equal(look(address(token), "").length, 0, "length");
    }

    function test_a_balance_that_passes_128_bits_is_held_at_the_largest() public {
        token.mint(address(1), type(uint128).max);
        token.mint(address(2), uint256(1) << 128);
        uint256[] memory seen = look(address(token), abi.encodePacked(address(1), address(2)));
        equal(seen[0], type(uint128).max, "the largest");
        equal(seen[1], type(uint128).max, "more than that");
    }

    function test_code_at_an_address_is_seen() public {
        address contract_ = address(new AgreeingAccount());
        token.mint(contract_, 5);
        address delegated = address(0x7702);
        vm.etch(delegated, abi.encodePacked(hex"ef0100", contract_));
        uint256[] memory seen = look(address(token), abi.encodePacked(contract_, delegated));
        equal(seen[0], HAS_CODE | 5, "a contract");
        equal(seen[1], HAS_CODE, "a delegated account");
    }

    function test_a_payer_the_token_does_not_answer_for_is_not_known() public {
        HostileToken hostile = new HostileToken();
        hostile.set(address(1), HostileToken.Does.Burns);
        hostile.set(address(2), HostileToken.Does.Works);
        hostile.set(address(3), HostileToken.Does.Bombs);
        hostile.set(address(4), HostileToken.Does.ThrowsShort);
        address contract_ = address(new AgreeingAccount());
        hostile.set(contract_, HostileToken.Does.Burns);
        uint256[] memory seen = look(
            address(hostile),
            abi.encodePacked(
                address(1), address(2), address(3), address(4), contract_, address(5)
            )
        );
        for (uint256 i = 0; i < 4; i++) equal(seen[i], UNKNOWN, "a refused one");
        equal(seen[4], UNKNOWN | HAS_CODE, "a refused contract");
        equal(seen[5], 0, "the next");
    }

    function test_without_gas_for_all_nothing_is_said() public {
        bytes memory payers = abi.encodePacked(address(1), address(2), address(3));
        (bool success, bytes memory answer) = address(facilitator).call{gas: 70_000}(
            abi.encodeCall(Facilitator.look, (address(token), payers))
        );
        expect(!success, "success");
        equal(bytes32(bytes4(answer)), bytes32(Facilitator.OutOfGas.selector), "error");
    }

    function test_part_of_an_address_is_refused() public {
        vm.expectRevert(abi.encodeWithSelector(Facilitator.WrongSize.selector, 21));
        look(address(token), new bytes(21));
    }

    function test_an_address_without_code_is_no_token() public {
        vm.expectRevert(abi.encodeWithSelector(Facilitator.NoCode.selector, address(0xdead)));
        look(address(0xdead), new bytes(20));
    }

    function testFuzz_each_balance_is_the_tokens(uint256 seed, uint8 size) public {
        uint256 count = within(size, 1, 20);
        bytes memory payers;
        for (uint256 i = 0; i < count; i++) {
            address owner = address(uint160(uint256(keccak256(abi.encode(seed, i)))));
            token.mint(owner, uint256(keccak256(abi.encode(owner))) >> 130);
            payers = abi.encodePacked(payers, owner);
        }
        uint256[] memory seen = look(address(token), payers);
        equal(seen.length, count, "length");
        for (uint256 i = 0; i < count; i++) {
            address owner = address(uint160(uint256(keccak256(abi.encode(seed, i)))));
            equal(seen[i], token.balanceOf(owner), "balance");
        }
    }
}
